/** Every text of the pages in Korean. */
import { html } from './html.ts'
import { accountKo } from './texts/account_ko.ts'
import { emailKo } from './texts/email_ko.ts'
import { mailTextsKo } from './texts/mail_ko.ts'
import { myAccountKo } from './texts/my_account_ko.ts'
import { passwordResetTextsKo } from './texts/password_reset_ko.ts'
import { signUpKo } from './texts/sign_up_ko.ts'
import type { Texts } from './texts_en.ts'

export const ko: Texts = {
  language: '한국어',
  skipToContent: '본문으로 건너뛰기',
  signIn: '로그인',
  signOut: '로그아웃',
  account: '내 계정',
  changePassword: '비밀번호 변경',
  toHome: '첫 페이지로 가기',
  toAccount: '내 계정으로 돌아가기',
  show: '보기',
  hide: '숨기기',

  username: '아이디',
  fullName: '이름',
  email: '이메일',
  password: '비밀번호',

  signInNames: {
    username: {
      label: '아이디',
      missing: '아이디를 입력해 주세요.',
      too_long: '아이디가 너무 길어요. 이렇게 긴 아이디는 없어요.',
      wrong_credentials: '아이디 또는 비밀번호가 맞지 않아요.',
    },
    email: {
      label: '이메일',
      missing: '이메일을 입력해 주세요.',
      too_long: '이메일이 너무 길어요. 이렇게 긴 이메일은 없어요.',
      wrong_credentials: '이메일 또는 비밀번호가 맞지 않아요.',
    },
    both: {
      label: '아이디 또는 이메일',
      missing: '아이디나 이메일을 입력해 주세요.',
      too_long: '입력한 내용이 너무 길어요. 이렇게 긴 아이디나 이메일은 없어요.',
      wrong_credentials: '아이디(이메일) 또는 비밀번호가 맞지 않아요.',
    },
  },

  titleWithProblem: title => `입력 확인: ${title}`,
  problems: '입력한 내용을 확인해 주세요',
  problem: {
    password: {
      missing: '비밀번호를 입력해 주세요.',
      too_long: '비밀번호가 너무 길어요. 이렇게 긴 비밀번호는 없어요.',
    },
    currentPassword: {
      missing: '현재 비밀번호를 입력해 주세요.',
      wrong: '현재 비밀번호가 맞지 않아요.',
      too_long: '비밀번호가 너무 길어요. 이렇게 긴 비밀번호는 없어요.',
    },
    newPassword: {
      missing: '새 비밀번호를 입력해 주세요.',
      too_short: shortest => `${shortest}자 이상 입력해 주세요.`,
      too_long: longest => `${longest}자까지만 쓸 수 있어요.`,
      too_common: '많은 사람이 쓰는 비밀번호라 쉽게 뚫릴 수 있어요. 다른 비밀번호로 정해 주세요.',
      breached: '데이터 유출 사고에서 공개된 적이 있는 비밀번호라 쉽게 뚫릴 수 있어요. 다른 비밀번호로 정해 주세요.',
      own_name: '아이디, 이메일 주소, 사이트 이름과 거의 같은 비밀번호예요. 다른 비밀번호로 정해 주세요.',
      not_typeable: '줄 바꿈처럼 로그인 화면에서 입력할 수 없는 문자가 들어 있어요.',
    },
    repeat: {
      missing: '새 비밀번호를 한 번 더 입력해 주세요.',
      different: '새 비밀번호와 일치하지 않아요.',
    },
    otp: {
      missing: '앱에 표시된 여섯 자리 숫자를 입력해 주세요.',
      wrong: '코드가 맞지 않거나 이미 사용한 코드예요. 다음 코드가 나오면 입력해 주세요.',
      clock: minutes =>
        `지금 시각의 코드가 아니에요. 휴대폰 시계가 약 ${minutes} 어긋나 있어요. 시계를 자동 설정으로 바꾸고 다음 코드를 입력해 주세요.`,
    },
    recoveryCode: {
      missing: '복구 코드 하나를 입력해 주세요.',
      wrong: '남아 있는 복구 코드와 일치하지 않아요.',
    },
    passkey: '패스키를 확인하지 못했어요. 다시 시도해 주세요.',
    too_many_codes: wait =>
      wait === undefined
        ? '틀린 코드를 너무 많이 입력했어요. 잠시 후 다시 시도해 주세요.'
        : `틀린 코드를 너무 많이 입력했어요. ${wait} 후에 다시 시도해 주세요.`,
    try_later: wait =>
      wait === undefined
        ? '지금은 비밀번호를 확인할 수 없어요. 잠시 후 다시 시도해 주세요.'
        : `지금은 비밀번호를 확인할 수 없어요. ${wait} 후에 다시 시도해 주세요.`,
  },

  home: {
    lede: '내 계정으로 로그인한 앱과 기기를 한곳에서 확인하고, 쓰지 않는 기기는 로그아웃하고, 비밀번호도 바꿀 수 있어요.',
    signedInAs: name => html`${name} 님으로 로그인했어요.`,
    developers: '개발자 안내',
    developersLede:
      'OAuth 2 인가 서버예요. 액세스 토큰은 수명이 짧고, 리프레시 토큰은 쓸 때마다 바뀌며, 로그아웃하면 세션이 확실히 끝나요.',
    docs: 'API 문서',
    docsHint: '토큰을 받아 모든 엔드포인트를 바로 호출해 볼 수 있어요.',
    reference: 'API 레퍼런스',
    referenceHint: '같은 내용을 한 페이지로 읽을 수 있어요.',
    openApi: 'OpenAPI 문서',
    openApiHint: '코드 생성기와 도구에서 쓸 수 있어요.',
    metadata: '서버 메타데이터',
    metadataHint: 'OAuth 라이브러리가 읽는 엔드포인트와 지원 기능 목록이에요.',
  },

  signInPage: {
    signInFirst: '그 페이지를 보려면 먼저 로그인해 주세요.',
    over: '시간이 너무 지났거나 틀린 코드를 너무 많이 입력했어요. 처음부터 다시 로그인해 주세요.',
    or: '또는',
    passkey: '패스키로 로그인',
    passkeyRefused: '이 패스키로는 로그인할 수 없어요. 비밀번호로 로그인해 주세요.',
    passkeyFailed: '패스키를 쓰지 못했어요. 다시 시도하거나 비밀번호로 로그인해 주세요.',
  },

  factorPage: {
    title: {
      otp: '인증 코드 입력',
      recovery_code: '복구 코드 입력',
      passkey: '패스키로 확인',
      password: '비밀번호 확인',
    },
    asking: {
      sign_in: name => html`${name} 님으로 로그인하고 있어요.`,
      confirm: name => html`${name} 님으로 로그인한 상태예요. 계속하기 전에 본인인지 한 번 더 확인할게요.`,
      password_reset: name =>
        html`${name} 님의 새 비밀번호를 정하고 있어요. 저장하기 전에 본인인지 한 번 더 확인할게요.`,
    },
    lede: {
      otp: '인증 앱을 열고 표시된 여섯 자리 숫자를 입력해 주세요.',
      recovery_code: '2단계 인증을 추가할 때 보관해 둔 코드 열 개 중 하나예요. 코드는 한 번씩만 쓸 수 있어요.',
      passkey: '지문이나 얼굴, 화면 잠금으로 확인해요.',
      password: '로그인한 지 시간이 지나서 비밀번호를 다시 확인해요.',
    },
    field: { otp: '여섯 자리 코드', recovery_code: '복구 코드' },
    go: '계속',
    use: {
      otp: '인증 앱 사용하기',
      recovery_code: '복구 코드 사용하기',
      passkey: '패스키 사용하기',
      password: '비밀번호 사용하기',
    },
    noPasskeys: '이 브라우저에서는 패스키를 쓸 수 없어요.',
    over: '시간이 너무 지났거나 틀린 코드를 너무 많이 입력했어요. 다시 시작해 주세요.',
    passkeyFailed: '패스키를 쓰지 못했어요. 다시 시도해 주세요.',
    startOver: '다른 아이디로 로그인',
  },

  factors: {
    title: '보안',
    lede: '2단계 인증을 쓰면 누군가 비밀번호를 알아내도 계정을 지킬 수 있어요.',
    none: '비밀번호는 추측당하거나 유출될 수 있어요. 2단계 인증을 추가하면 비밀번호만으로는 로그인할 수 없어요.',
    kind: { totp: '인증 앱', passkey: '패스키', recovery_codes: '복구 코드' },
    added: day => html`${day} 추가`,
    used: ago => html`${ago} 사용`,
    never: '아직 쓰지 않음',
    left: count => `${count}개 남음`,
    manage: '관리',
    addTotp: '인증 앱 추가',
    addPasskey: '패스키 추가',
    newCodes: '새로 만들기',
    passwordHint: '비밀번호를 바꾸면 다른 기기는 모두 로그아웃돼요.',
  },

  addTotpPage: {
    title: '인증 앱 추가하기',
    demandedTitle: '2단계 인증 추가하기',
    demanded: name =>
      html`${name} 님으로 로그인하고 있어요. 이 계정은 비밀번호와 함께 2단계 인증이 필요해요. 30초마다 새 코드를 보여 주는 휴대폰 앱을 준비해 주세요.`,
    scan: '인증 앱으로 아래 그림을 스캔해 주세요.',
    picture: '인증 앱에 등록할 QR 코드',
    here: '이 기기에 있는 앱으로 열기',
    type: '또는 앱에 이 키를 입력해 주세요.',
    copy: '키 복사',
    code: '여섯 자리 코드',
    codeHint: '앱에서 지금 이 계정에 표시된 숫자예요.',
    go: '추가',
    goSignIn: '추가하고 로그인',
    over: '시간이 너무 지났어요. 새 그림을 다시 스캔해 주세요. 이전 그림은 쓸 수 없어요.',
  },

  addPasskeyPage: {
    title: '패스키 추가하기',
    lede: '패스키가 있으면 비밀번호 없이 지문이나 얼굴, 화면 잠금으로 로그인할 수 있어요. 다른 웹사이트에서는 쓸 수 없어요.',
    go: '패스키 만들기',
    over: '시간이 너무 지났어요. 다시 시도해 주세요.',
    failed: '패스키를 만들지 못했어요. 다시 시도해 주세요.',
    known: '이 기기에는 이미 이 계정의 패스키가 있어요.',
    noPasskeys: '이 브라우저에서는 패스키를 만들 수 없어요. JavaScript가 꺼져 있을 수도 있어요.',
  },

  codesPage: {
    title: '복구 코드',
    lede: '휴대폰을 잃어버렸을 때 대신 입력하면 로그인할 수 있어요. 코드는 한 번씩만 쓸 수 있어요.',
    once: '지금만 볼 수 있어요. 다른 사람이 찾지 못하는 곳에, 휴대폰이 아닌 곳에 보관해 주세요.',
    list: '복구 코드 목록',
    copy: '복사',
    copied: '복사했어요',
    print: '인쇄',
    go: '보관했어요',
  },

  newCodesPage: {
    title: '복구 코드를 새로 만들까요?',
    lede: left => `지금 ${left}개 남아 있어요. 새 코드 열 개를 만들면 이전 코드는 쓸 수 없어요.`,
    go: '새 코드 만들기',
  },

  managePage: {
    rename: '이름 바꾸기',
    name: '이름',
    nameHint: '나중에 알아볼 수 있게 ‘회사 휴대폰’처럼 정해 두세요.',
    remove: '삭제',
    removeLede: '삭제하면 더 이상 로그인에 쓸 수 없어요.',
    removeLast: '마지막 하나라서 삭제하면 복구 코드도 함께 없어지고, 비밀번호만 계정을 지키게 돼요.',
  },

  ...accountKo,
  ...emailKo,

  passwordPage: {
    lede: '비밀번호를 바꾸면 다른 기기는 모두 로그아웃돼요. 이 기기는 로그인된 채로 있어요.',
    old: '현재 비밀번호',
    new: '새 비밀번호',
    newHint: shortest => `${shortest}자 이상으로 정해 주세요. 단어 여러 개를 이어 쓰면 더 안전해요.`,
    repeat: '새 비밀번호 확인',
  },

  ...myAccountKo,

  signOutPage: {
    title: '로그아웃할까요?',
    lede: name => html`지금 ${name} 님으로 로그인한 상태예요. 이 기기에서만 로그아웃돼요.`,
    stay: '로그인 유지하기',
  },

  signedOutPage: {
    title: '로그아웃했어요',
    here: '이 기기에서 로그아웃했어요.',
    everywhere: '모든 기기에서 로그아웃했어요.',
    again: '다시 로그인',
  },

  errorPage: {
    400: {
      title: '요청을 읽을 수 없어요',
      lede: '빠졌거나 잘못된 내용이 있어요. 이전 페이지로 돌아가 다시 시도해 주세요.',
    },
    401: { title: '로그인이 필요해요', lede: '로그인한 사람만 볼 수 있는 페이지예요.' },
    403: {
      title: '이 사이트에서 보낸 요청이 아니에요',
      lede: '다른 사이트에서 보냈거나 어디에서 보냈는지 알 수 없는 요청이라 아무것도 바꾸지 않았어요. 이 사이트에서 페이지를 열고 다시 시도해 주세요.',
    },
    404: { title: '페이지를 찾을 수 없어요', lede: '주소가 잘못되었거나 페이지가 없어졌을 수 있어요.' },
    405: { title: '여기서는 할 수 없는 요청이에요', lede: '이 주소는 이런 방식의 요청을 받지 않아요.' },
    413: {
      title: '보낸 내용이 너무 많아요',
      lede: '서버가 받을 수 있는 크기를 넘었어요. 이전 페이지로 돌아가 내용을 줄여 주세요.',
    },
    429: {
      title: '시도를 너무 많이 했어요',
      lede: '계정을 보호하려고 연속으로 시도할 수 있는 횟수를 제한하고 있어요.',
    },
    500: { title: '서버에 문제가 생겼어요', lede: '저희 쪽 문제이고, 기록해 두었어요. 잠시 후 다시 시도해 주세요.' },
    503: { title: '지금은 이용할 수 없어요', lede: '서버가 바쁘거나 점검 중이에요.' },
    tryAgainIn: wait => `${wait} 후에 다시 시도해 주세요.`,
    tryAgainSoon: '잠시 후 다시 시도해 주세요.',
    requestId: '요청 번호',
    requestIdHint: '문의할 때 이 번호를 알려 주세요.',
  },

  ...mailTextsKo,
  ...passwordResetTextsKo,
  ...signUpKo,
}
