// Texts of password hashes from parameters. Their digests match no known password.
export const salt = 'MDEyMzQ1Njc4OWFiY2RlZg'
export const digest = 'S82NeMOCoX4Cv9t9Nnv+2V9xPsulnapsg/KkvBIfWYs'
type Parameter = number | string
export const argon2 = ([m, t, p]: Parameter[], rest = `$${salt}$${digest}`) =>
  `$argon2id$v=19$m=${m},t=${t},p=${p}${rest}`
export const scrypt = ([ln, r, p]: Parameter[], rest = `$${salt}$${digest}`) =>
  `$scrypt$ln=${ln},r=${r},p=${p}${rest}`
export const pbkdf2 = (i: Parameter, rest = `$${salt}$${digest}`) => `$pbkdf2-sha256$${i}${rest}`
export const signerKey =
  'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA'
export const firebase = (parameters: string, rest = `$${salt}$${signerKey}`) =>
  `$firebase-scrypt$${parameters},k=${signerKey}${rest}`
export const bcrypt = (cost: string, rest = '.9PgVH2zLKMwIhbcOSVEaeqk.Wyx4vdvPRN8U5a/oTlOxu7kDkIr2') =>
  `$2b$${cost}$${rest}`
