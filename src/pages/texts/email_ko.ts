/** The same texts in Korean. */
import { html } from '../html.ts'
import type { EmailTexts } from './email_en.ts'

export const emailKo: EmailTexts = {
  emailPage: {
    title: '이메일',
    none: '계정에 이메일이 없어요. 이메일이 없으면 비밀번호를 잊었을 때 도와드릴 수 없어요.',
    verified: '본인의 이메일로 확인되었어요.',
    unverified: '아직 확인되지 않은 이메일이에요.',
    verify: '확인 메일 보내기',
    change: '이메일 변경',
    add: '이메일 추가',
    isVerified: '확인됨',
    isUnverified: '아직 확인되지 않음',
    later: wait =>
      wait === undefined
        ? '메일을 너무 많이 요청했어요. 잠시 후 다시 시도해 주세요.'
        : `메일을 너무 많이 요청했어요. ${wait} 뒤에 다시 시도해 주세요.`,
  },

  changeEmailPage: {
    title: '이메일 변경',
    lede: '새 이메일로 메일을 보내 드려요. 새 이메일을 확인할 때까지는 지금 이메일이 그대로 쓰여요.',
    field: '새 이메일',
    go: '메일 보내기',
    problem: {
      missing: '새 이메일을 입력해 주세요.',
      invalid: '메일을 보낼 수 있는 주소가 아니에요.',
      same: '지금 쓰고 있는 이메일이에요.',
    },
    tooMany: wait => `최근에 이메일을 여러 번 바꿨어요. ${wait} 뒤에 다시 바꿀 수 있어요.`,
  },

  emailSent: {
    email_verification: '이메일로 메일을 보내 드렸어요. 24시간 동안 쓸 수 있어요.',
    email_change: '새 이메일로 메일을 보내 드렸어요. 24시간 동안 쓸 수 있어요.',
  },

  emailLinkPage: {
    email_verification: {
      title: '본인의 이메일인가요?',
      lede: address => html`${address}로 오는 메일을 받고 있다고 확인해 주세요.`,
      go: '네, 확인할게요',
    },
    email_change: {
      title: '이 이메일을 쓸까요?',
      lede: address => html`이제 계정의 이메일이 ${address}(으)로 바뀌어요.`,
      go: '이 이메일 쓰기',
    },
    email_change_notice: {
      title: '원래 이메일을 유지할까요?',
      lede: address =>
        html`계정의 이메일이 다시 ${address}(으)로 바뀌고, 모든 앱과 기기에서 로그아웃돼요. 그다음 비밀번호도 새로 정해 주세요.`,
      go: '원래 이메일 유지하기',
    },
  },

  emailDonePage: {
    verified: { title: '이메일이 확인되었어요', lede: '고마워요. 더 하실 일은 없어요.' },
    already_verified: { title: '이메일이 확인되었어요', lede: '이미 확인된 이메일이에요.' },
    changed: {
      title: '이메일이 변경되었어요',
      lede: '원래 이메일로 메일을 보내 드렸어요. 그 메일의 링크로 7일 동안 되돌릴 수 있어요.',
    },
    already_changed: { title: '이메일이 변경되었어요', lede: '이미 변경되었어요.' },
    restored: {
      title: '원래 이메일로 되돌렸어요',
      lede: '모든 기기에서 로그아웃했어요. 이메일을 바꾼 사람은 회원님의 계정에 로그인되어 있었으니, 지금 새 비밀번호를 정해 주세요.',
    },
    already_restored: {
      title: '원래 이메일로 되돌렸어요',
      lede: '이미 되돌렸어요. 그 뒤로 비밀번호를 새로 정하지 않으셨다면 지금 정해 주세요.',
    },
    taken: {
      title: '다른 계정에서 쓰고 있는 이메일이에요',
      lede: '아무것도 바뀌지 않았어요. 이메일 하나는 한 계정에서만 확인할 수 있어요.',
    },
    newPassword: '새 비밀번호 정하기',
  },
}
