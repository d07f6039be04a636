/** What the pages say that links and codes of mails lead to, in English. */

export const mailTextsEn = {
  mailLinkPage: {
    broken: {
      title: 'This link is not complete',
      lede: 'Some of it was lost on the way. Open the mail again and use its link, or copy all of it into the address bar.',
    },
    over: {
      title: 'This link no longer works',
      lede: 'It has already done what it was for, or its time is over, or something has changed since it was sent.',
    },
  },

  mailCodePage: {
    title: 'Check your mail',
    field: 'Eight-digit code',
    hint: 'It is in the mail. You can use the link in the mail instead, on any device.',
    go: 'Continue',
    again: 'Start again',
    noMail: 'No mail after a few minutes? Look among the junk mail, or start again and check what you typed.',
    missing: 'Enter the eight digits that are in the mail.',
    wrong: 'This is not the code of the newest mail that we have sent you.',
    over: 'That took too long, or too many codes were wrong. Please start again.',
  },
}
