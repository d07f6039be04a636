import { defineConfig } from 'drizzle-kit'

// `npm run migration` makes those of both dialects, one after the other.
const dialect = process.env.DIALECT === 'postgres' ? 'postgres' : 'sqlite'

export default defineConfig({
  dialect: dialect === 'postgres' ? 'postgresql' : 'sqlite',
  schema: `./src/storage/${dialect}/schema.ts`,
  out: `./migrations/${dialect}`,
})
