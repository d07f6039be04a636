/** Every text of the mails in Korean. */
import type { MailTexts } from './texts_en.ts'

const account = (brand: string, username: string | undefined) =>
  username === undefined ? `${brand} 계정` : `${brand} 계정(${username})`
const never = (brand: string) => `코드는 아무에게도 알려 주지 마세요. ${brand}에서는 코드를 물어보지 않아요.`
const fine = '본인이 한 일이라면 아무것도 하지 않으셔도 돼요.'
const changePassword =
  '본인이 한 일이 아니라면 바로 비밀번호를 바꿔 주세요. 그러면 모든 기기에서 로그아웃돼요. 로그인할 수 없다면 로그인 화면에서 ‘비밀번호를 잊으셨나요?’를 눌러 주세요.'

/** With the particle that each takes. */
const factors: Readonly<Record<string, readonly [added: string, removed: string]>> = {
  totp: ['인증 앱을', '인증 앱은'],
  passkey: ['패스키를', '패스키는'],
  recovery_codes: ['복구 코드를', '복구 코드는'],
}
const anyFactor = ['2단계 인증 방법을', '2단계 인증 방법 하나는'] as const

export const ko: MailTexts = {
  code: '또는 요청한 화면에 다음 코드를 입력해 주세요.',
  when: '시각',
  network: '네트워크',
  device: '기기',
  browserOn: (browser, platform) => `${browser} (${platform})`,
  app: '앱',
  automatic: brand => `이 메일은 ${brand}에서 자동으로 보내 드렸어요. 답장하셔도 읽을 수 없어요.`,

  purposes: {
    password_reset: ({ brand, username, validFor }) => ({
      subject: `${brand} 비밀번호 재설정`,
      lines: [
        `${account(brand, username)}의 비밀번호를 다시 정하겠다는 요청을 받았어요. 본인이 요청하셨다면 새 비밀번호를 정해 주세요.`,
      ],
      button: '새 비밀번호 정하기',
      after: [
        `${validFor} 안에 한 번만 쓸 수 있어요. 비밀번호를 바꾸면 모든 기기에서 로그아웃돼요.`,
        '본인이 요청하지 않으셨다면 아무것도 하지 않으셔도 돼요. 이 메일 없이는 아무도 비밀번호를 바꿀 수 없어요.',
        never(brand),
      ],
    }),
    email_verification: ({ brand, validFor }) => ({
      subject: `${brand} 이메일 주소 확인`,
      lines: [`${brand} 계정에 등록된 이메일 주소예요. 본인의 주소가 맞는지 확인해 주세요.`],
      button: '이 주소 확인하기',
      after: [`${validFor} 안에 확인해 주세요.`, `${brand} 계정이 없으시다면 이 메일을 무시하셔도 돼요.`, never(brand)],
    }),
    email_change: ({ brand, validFor }) => ({
      subject: `${brand} 새 이메일 주소 확인`,
      lines: [`이 주소를 ${brand} 계정에 쓰겠다는 요청을 받았어요. 본인이 요청하셨다면 확인해 주세요.`],
      button: '새 주소 확인하기',
      after: [
        `${validFor} 안에 한 번만 쓸 수 있어요. 확인하기 전까지는 원래 주소가 그대로 쓰여요.`,
        '본인이 요청하지 않으셨다면 이 메일을 무시하셔도 돼요. 이 메일 없이는 아무것도 바뀌지 않아요.',
        never(brand),
      ],
    }),
    email_change_notice: ({ brand, username, email, validFor }) => ({
      subject: `${brand} 계정의 이메일 주소 변경 안내`,
      lines: [
        `${account(brand, username)}의 이메일 주소가 이 주소에서 ${email ?? '다른 주소'}(으)로 바뀌어요.`,
        `${fine} 본인이 한 일이 아니라면 이 주소를 그대로 유지해 주세요.`,
      ],
      button: '이 주소 유지하기',
      after: [
        `${validFor} 동안 쓸 수 있어요. 그다음 비밀번호도 새로 정해 주세요. 변경을 요청한 사람은 회원님의 계정에 로그인되어 있었어요.`,
      ],
    }),
    sign_up: ({ brand, validFor }) => ({
      subject: `${brand} 가입 계속하기`,
      lines: [`본인의 이메일 주소가 맞는지 확인한 다음, ${brand}에서 쓸 아이디와 비밀번호를 정해 주세요.`],
      button: '계속하기',
      after: [
        `${validFor} 안에 한 번만 쓸 수 있어요.`,
        '가입하려던 게 아니라면 이 메일을 무시하셔도 돼요. 이 메일 없이는 계정이 만들어지지 않아요.',
        never(brand),
      ],
    }),
    sign_up_known: ({ brand, username }) => ({
      subject: `이미 ${brand} 계정이 있어요`,
      lines: [
        `이 주소로 ${brand}에 가입하겠다는 요청을 받았어요. 그런데 이 주소로 만든 ${username === undefined ? '계정이' : `계정(${username})이`} 이미 있어요.`,
        '그 계정으로 로그인해 주세요. 비밀번호가 기억나지 않으시면 로그인 화면에서 ‘비밀번호를 잊으셨나요?’를 눌러 주세요.',
      ],
      button: '로그인하기',
      after: [
        '본인이 요청하지 않으셨다면 아무것도 하지 않으셔도 돼요. 요청한 사람은 이 주소에 계정이 있는지 알 수 없어요.',
      ],
    }),
    invitation: ({ brand, validFor }) => ({
      subject: `${brand}에 초대합니다`,
      lines: [`${brand}에 초대받으셨어요. 아이디와 비밀번호를 정해 계정을 만들어 주세요.`],
      button: '초대 수락하기',
      after: [`초대는 ${validFor} 동안 유효해요.`, '초대받을 일이 없으시다면 이 메일을 무시하셔도 돼요.'],
    }),
    deletion_notice: ({ brand, username, at, validFor }) => ({
      subject: `${brand} 계정 삭제 안내`,
      lines: [
        `요청하신 대로 ${account(brand, username)}을 닫았어요. ${at === undefined ? `${validFor} 뒤에` : `${at}에`} 완전히 삭제돼요.`,
        '마음이 바뀌었거나 본인이 요청하지 않으셨다면 계정을 유지해 주세요.',
      ],
      button: '계정 유지하기',
      after: ['본인이 요청하지 않으셨다면 그다음 비밀번호도 새로 정해 주세요.'],
    }),

    new_device: ({ brand, username }) => ({
      subject: `${brand} 계정에 새로운 로그인이 있었어요`,
      lines: [`${account(brand, username)}에 새로운 장소, 새로운 기기에서 로그인이 있었어요.`],
      button: '내 기기 보기',
      after: [fine, changePassword],
    }),
    password_changed: ({ brand, username }) => ({
      subject: `${brand} 비밀번호가 변경되었어요`,
      lines: [`${account(brand, username)}의 비밀번호가 변경되었어요.`],
      button: '내 계정으로 가기',
      after: [fine, changePassword],
    }),
    factor_changed: ({ brand, username, factor, change }) => {
      const [added, removed] = factors[factor ?? ''] ?? anyFactor
      return {
        subject: `${brand} 로그인 방법이 변경되었어요`,
        lines: [
          change === 'removed'
            ? `이제 ${account(brand, username)}에 로그인할 때 ${removed} 쓸 수 없어요.`
            : `이제 ${account(brand, username)}에 로그인할 때 ${added} 쓸 수 있어요.`,
        ],
        button: '로그인 방법 보기',
        after: [fine, changePassword],
      }
    },
    refresh_token_reused: ({ brand, username, app }) => ({
      subject: `${brand} 계정에서 기기 하나를 로그아웃했어요`,
      lines: [
        `${account(brand, username)}의 로그인을 유지하는 정보가 ${app === undefined ? '' : `${app} 앱에서 `}두 번 쓰였어요. 누군가 복사했을 때 생기는 일이라 안전을 위해 그 기기를 로그아웃했어요.`,
      ],
      button: '내 기기 보기',
      after: [
        '백업에서 기기를 복원했을 때도 생길 수 있어요. 그렇다면 다시 로그인하시면 돼요.',
        '짚이는 이유가 없으시다면 비밀번호를 바꾸고 로그인된 기기를 살펴봐 주세요.',
      ],
    }),
    many_wrong_codes: ({ brand, username }) => ({
      subject: `${brand} 계정에 틀린 코드가 여러 번 입력되었어요`,
      lines: [
        `${account(brand, username)}에 로그인하는 두 번째 단계에서 누군가 틀린 코드를 여러 번 입력해 잠시 막아 두었어요.`,
      ],
      button: '내 계정으로 가기',
      after: [
        '본인이라면 잠시 후 다시 시도해 주세요.',
        '본인이 아니라면 비밀번호를 바꿔 주세요. 그 사람은 비밀번호를 알고 있어요.',
      ],
    }),
    email_changed: ({ brand, username, email }) => ({
      subject: `${brand} 계정의 이메일 주소가 변경되었어요`,
      lines: [`${account(brand, username)}의 이메일 주소가 ${email ?? '다른 주소'}(으)로 변경되었어요.`],
      button: '내 계정으로 가기',
      after: [fine, changePassword],
    }),
    username_changed: ({ brand, username, formerUsername }) => ({
      subject: `${brand} 아이디가 변경되었어요`,
      lines: [
        `${brand} 계정의 아이디가 변경되었어요. 이제 새 아이디로 로그인해 주세요.`,
        ...(formerUsername === undefined ? [] : [`이전 아이디: ${formerUsername}`]),
        ...(username === undefined ? [] : [`새 아이디: ${username}`]),
      ],
      button: '내 계정으로 가기',
      after: [fine, changePassword],
    }),
  },

  test: brand => ({
    subject: `${brand} 테스트 메일`,
    lines: [
      `${brand}에서 메일을 보낼 수 있어요. 지금 읽고 계신 메일이 그 증거예요.`,
      '운영자가 ‘latchkey mail test’ 명령으로 보냈어요.',
    ],
    after: [],
  }),
}
