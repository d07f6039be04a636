/** The same in Korean. */
import type { mailTextsEn } from './mail_en.ts'

export const mailTextsKo: typeof mailTextsEn = {
  mailLinkPage: {
    broken: {
      title: '링크가 온전하지 않아요',
      lede: '링크의 일부가 빠졌어요. 메일을 다시 열어 링크를 누르거나, 링크 전체를 복사해 주소창에 붙여 넣어 주세요.',
    },
    over: {
      title: '이 링크는 더 이상 쓸 수 없어요',
      lede: '이미 사용했거나 유효 시간이 지났어요. 메일을 보낸 뒤에 계정이 바뀌었을 수도 있어요.',
    },
  },

  mailCodePage: {
    title: '메일을 확인해 주세요',
    field: '여덟 자리 코드',
    hint: '메일에 적혀 있어요. 코드 대신 메일의 링크를 눌러도 돼요. 다른 기기에서 열어도 괜찮아요.',
    go: '계속',
    again: '처음부터 다시 하기',
    noMail:
      '몇 분이 지나도 메일이 오지 않나요? 스팸 메일함을 확인하거나, 입력한 내용을 확인하고 처음부터 다시 해 주세요.',
    missing: '메일에 적힌 숫자 여덟 개를 입력해 주세요.',
    wrong: '가장 최근에 보낸 메일의 코드가 아니에요.',
    over: '시간이 너무 지났거나 잘못된 코드를 여러 번 입력했어요. 처음부터 다시 해 주세요.',
  },
}
