export const formType = 'application/x-www-form-urlencoded'
export const jsonType = 'application/json'
export const htmlType = 'text/html'
export const textType = 'text/plain'
