/** What the account page says, in Korean. */
import { html } from '../html.ts'
import type { accountEn } from './account_en.ts'

export const accountKo: typeof accountEn = {
  accountPage: {
    notice: {
      profile_saved: '내 정보를 저장했어요.',
      username_changed: '아이디를 바꿨어요. 이제 새 아이디로 로그인해 주세요.',
      password_changed: '비밀번호를 바꾸고 다른 기기를 모두 로그아웃했어요.',
      session_ended: '선택한 기기를 로그아웃했어요.',
      others_ended: '다른 기기를 모두 로그아웃했어요.',
      nothing_ended: '이미 로그아웃된 기기예요.',
      factor_added: '2단계 인증을 추가했어요.',
      factor_renamed: '이름을 바꿨어요.',
      factor_removed: '삭제했어요.',
      factor_gone: '이미 없어진 항목이라 아무것도 바꾸지 않았어요.',
      too_many_factors: '더 추가할 수 없어요. 먼저 하나를 삭제해 주세요.',
    },
    deviceEnded: device => html`${device} 기기를 로그아웃했어요.`,
    profile: '프로필',
    devices: '로그인한 기기',
    devicesLede: '모르는 기기가 있나요? 먼저 로그아웃하고 비밀번호를 바꿔 주세요.',
    thisDevice: '이 기기',
    thisWebsite: '이 웹사이트',
    unknownDevice: '알 수 없는 기기',
    browserOn: (browser, platform) => `${browser} (${platform})`,
    appOn: platform => `앱 (${platform})`,
    programOf: name => `프로그램 (${name})`,
    program: '프로그램',
    signedIn: '로그인',
    lastSeen: '마지막 접속',
    pages: '기기 더 보기',
    previous: '이전',
    next: '다음',
    range: (from, to, count) => `${count}대 중 ${from}~${to}`,
    others: '다른 기기 모두 로그아웃',
    all: '모든 기기에서 로그아웃',
    data: '내 데이터',
    change: '변경',
    copy: '사본',
    account: '계정',
    download: '내려받기',
    delete: '삭제',
  },

  endSessionsPage: {
    others: {
      title: '다른 기기를 모두 로그아웃할까요?',
      lede: '다른 기기와 앱이 모두 바로 로그아웃돼요. 이 기기는 로그인된 채로 있어요.',
      go: '다른 기기 모두 로그아웃',
    },
    all: {
      title: '모든 기기에서 로그아웃할까요?',
      lede: '이 기기까지 모든 기기와 앱이 바로 로그아웃돼요. 다시 쓰려면 로그인해야 해요.',
      go: '모든 기기에서 로그아웃',
    },
    cancel: '취소',
  },
}
