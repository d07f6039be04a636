/** The same in Korean. */
import { html } from '../html.ts'
import type { passwordResetTextsEn } from './password_reset_en.ts'

export const passwordResetTextsKo: typeof passwordResetTextsEn = {
  forgotPassword: '비밀번호를 잊으셨나요?',

  forgotPasswordPage: {
    title: '비밀번호 재설정',
    lede: '아이디나 이메일을 입력하면 계정에 등록된 주소로 메일을 보내 드려요. 메일에서 새 비밀번호를 정할 수 있어요.',
    go: '메일 보내기',
    toSignIn: '로그인으로 돌아가기',
    tooMany: wait =>
      wait === undefined
        ? '메일을 너무 많이 요청했어요. 잠시 후 다시 시도해 주세요.'
        : `메일을 너무 많이 요청했어요. ${wait} 후에 다시 시도해 주세요.`,
    sent: '그런 계정이 있고 주소가 등록되어 있으면 메일이 곧 도착해요. 메일은 30분 동안 쓸 수 있어요.',
  },

  newPasswordPage: {
    title: '새 비밀번호 정하기',
    lede: name =>
      html`${name} 님의 계정이에요. 비밀번호를 바꾸면 모든 앱과 기기에서 로그아웃되고, 새 비밀번호로 로그인하게 돼요.`,
    go: '새 비밀번호 저장',
    over: '시간이 너무 지났거나 잘못된 코드를 여러 번 입력했어요. 비밀번호를 다시 정해 주세요.',
    done: '비밀번호를 바꿨어요',
    doneLede: '모든 앱과 기기에서 로그아웃됐어요. 새 비밀번호로 로그인해 주세요.',
  },
}
