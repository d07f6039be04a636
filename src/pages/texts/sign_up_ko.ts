/** Texts of the sign-up, in Korean. */
import { html } from '../html.ts'
import type { SignUpTexts } from './sign_up_en.ts'

export const signUpKo: SignUpTexts = {
  signUpPage: {
    title: '회원가입',
    lede: '이메일을 입력해 주세요. 본인 이메일인지 확인하는 메일을 보내 드려요.',
    go: '메일 보내기',
    have: '이미 계정이 있나요? 로그인하기',
    sent: '입력한 주소로 메일을 보냈어요. 메일에 있는 코드를 입력하거나 링크를 열어 주세요.',
    problem: {
      missing: '이메일을 입력해 주세요.',
      malformed: '이메일 형식이 올바르지 않아요.',
      too_long: '이메일이 너무 길어요. 이렇게 긴 이메일은 없어요.',
    },
    try_later: wait =>
      wait === undefined
        ? '메일을 너무 많이 요청했어요. 잠시 후 다시 시도해 주세요.'
        : `메일을 너무 많이 요청했어요. ${wait} 후 다시 시도해 주세요.`,
  },

  newAccountPage: {
    title: '계정 만들기',
    lede: address => html`${address} 주소를 확인했어요. 로그인할 때 쓸 아이디와 비밀번호를 정해 주세요.`,
    usernameHint: '로그인할 때 쓰고, 다른 사람에게 보일 수 있어요.',
    name: '이름',
    nameHint: '어떻게 불러 드릴까요? 비워 두어도 괜찮아요.',
    password: '비밀번호',
    go: '계정 만들기',
    username: {
      missing: '아이디를 정해 주세요.',
      taken: '이미 쓰고 있는 아이디예요. 다른 아이디로 정해 주세요.',
      too_long: longest => `${longest}자까지만 쓸 수 있어요.`,
      unseen: '보이지 않는 문자나 다른 글자와 비슷해 보이는 문자가 들어 있어요. 다시 입력해 주세요.',
      address: '본인 것으로 확인한 이메일이 아닌 다른 이메일 주소예요.',
    },
    fullName: '이름에 쓸 수 없는 문자가 들어 있거나 너무 길어요.',
    try_later: wait =>
      wait === undefined
        ? '이 네트워크에서 계정을 너무 많이 만들었어요. 나중에 다시 시도해 주세요.'
        : `이 네트워크에서 계정을 너무 많이 만들었어요. ${wait} 후 다시 시도해 주세요.`,
  },

  haveAccountPage: {
    title: '이미 계정이 있어요',
    lede: '더 하실 일은 없어요. 이 이메일로 만든 계정이 이미 있어요.',
  },
}
