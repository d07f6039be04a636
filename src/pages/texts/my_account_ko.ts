/** The same texts in Korean. */
import { html } from '../html.ts'
import type { MyAccountTexts } from './my_account_en.ts'

export const myAccountKo: MyAccountTexts = {
  editProfilePage: {
    title: '내 정보',
    nameHint: '앱에서 다른 사람에게 보이는 이름이에요. 비워 두어도 돼요.',
    language: '언어',
    languageHint: '이 사이트의 화면과 보내 드리는 메일에 쓰는 언어예요.',
    browserLanguage: '브라우저 설정에 따름',
    go: '저장',
    invalidName: '눈에 보이는 글자로 256자까지 쓸 수 있어요.',
    dataLede: '나에 대해 저장된 모든 내용을 파일로 받아요.',
    deleteLede: '계정과 계정에 딸린 모든 것이 사라져요.',
  },

  usernamePage: {
    title: '아이디 변경',
    lede: '모든 기기에서 로그인이 유지되고, 앱은 계속 같은 사람으로 알아봐요.',
    kept: days =>
      `하루에 한 번 바꿀 수 있어요. 지금 아이디는 ${days}일 동안 다른 사람이 쓸 수 없고, 그동안 다시 가져올 수 있어요.`,
    new: '새 아이디',
    missing: '원하는 아이디를 입력해 주세요.',
    invalid: '눈에 보이는 글자로 128자까지 쓸 수 있고, 앞뒤에 공백이 없어야 해요.',
    taken: '이미 쓰이고 있는 아이디예요. 다른 아이디로 정해 주세요.',
    tooSoon: wait => `아이디를 바꾼 지 얼마 안 됐어요. ${wait} 뒤에 다시 바꿀 수 있어요.`,
    tooMany: wait => `이미 쓰이는 아이디를 여러 번 입력했어요. ${wait} 뒤에 다시 시도해 주세요.`,
  },

  exportPage: {
    title: '내 데이터 내려받기',
    lede: '나에 대해 저장된 모든 내용을 JSON 파일 하나로 받아요.',
    parts: [
      '아이디, 이름, 이메일, 언어, 역할',
      '지금 로그인되어 있거나 지난 일주일 동안 로그인했던 앱, 기기, 주소, 시각',
      '2단계 인증 수단의 종류와 이름(비밀 값은 들어 있지 않아요)',
      '로그인이나 변경처럼 계정에 대해 기록된 일',
    ],
    careful: '다른 사람이 볼 수 없는 곳에 보관해 주세요.',
    go: '내려받기',
    tooSoon: wait => `방금 내려받았어요. ${wait} 뒤에 다시 시도해 주세요.`,
  },

  deletePage: {
    title: '계정을 삭제할까요?',
    lede: name => html`${name} 아이디로 로그인하고 있어요. 계정을 삭제하면:`,
    lost: [
      '모든 앱과 기기에서 로그아웃되고, 더 이상 로그인할 수 없어요.',
      '이름, 이메일, 비밀번호, 2단계 인증 수단, 기기 정보가 지워져요.',
      '이 계정으로 쓰던 앱에 내 데이터가 남아 있을 수 있지만, 이 계정으로는 다시 열 수 없어요.',
    ],
    kept: days => `아이디는 ${days}일 동안 다른 사람이 쓸 수 없어요. 이메일은 바로 새 계정에 쓸 수 있어요.`,
    laterLede: days => `${days}일 안에 마음을 바꿀 수 있어요. 그때까지는 아무것도 지워지지 않아요.`,
    laterMailed: '계정을 되살리는 링크를 메일로 보내 드려요.',
    laterAsk: '되살리고 싶으면 서비스 운영자에게 문의해 주세요.',
    later: '계정 삭제',
    nowTitle: '지금 바로 삭제하기',
    nowLede: '바로 삭제하면 누구도 되살릴 수 없어요.',
    sure: '누구도 내 계정을 되살릴 수 없다는 것을 알고 있어요.',
    notSure: '계속하려면 체크해 주세요.',
    now: '완전히 삭제',
    stay: '계정 유지',
  },

  deletedPage: {
    title: '계정이 삭제될 예정이에요',
    later: day => html`모든 기기에서 로그아웃됐어요. 계정은 ${day}에 사라져요.`,
    mailed: '되살리려면 그 전에 메일로 보내 드린 링크를 열어 주세요.',
    ask: '되살리려면 그 전에 서비스 운영자에게 문의해 주세요.',
    goneTitle: '계정이 삭제됐어요',
    gone: '모든 기기에서 로그아웃됐고, 계정에 남은 것이 없어요.',
  },

  undoDeletionPage: {
    title: '계정을 유지할까요?',
    lede: '이 계정은 삭제될 예정이에요. 유지하면 전처럼 다시 로그인할 수 있어요.',
    go: '계정 유지',
    done: '계정이 유지돼요',
    undone: '이제 삭제되지 않아요. 전처럼 로그인해 주세요.',
    already_undone: '이미 유지하기로 했어요. 전처럼 로그인해 주세요.',
    still_disabled: '이제 삭제되지 않지만, 서비스 운영자가 계정을 정지했어요. 운영자에게 문의해 주세요.',
  },
}
