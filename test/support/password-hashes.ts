// Password hashes: of a known password, as other systems make them, and texts from parameters that match none.
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

export const foreignPassword = 'correct horse Straße 電池'
/** Of `foreignPassword`. Made by argon2-cffi 25.1.0, bcrypt 4.0.1, passlib 1.7.4 and Python's hashlib. */
export const foreignHashes = [
  [
    'Argon2id',
    '$argon2id$v=19$m=4096,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$S82NeMOCoX4Cv9t9Nnv+2V9xPsulnapsg/KkvBIfWYs',
  ],
  [
    'Argon2i',
    '$argon2i$v=19$m=4096,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$j/wDUczhIJ1m4cBFEMT/rdzouPMsMPaZ0Oocbyz+3LE',
  ],
  [
    'Argon2d',
    '$argon2d$v=19$m=4096,t=3,p=2$MDEyMzQ1Njc4OWFiY2RlZg$YySeUN62tXApk6eiHh79A3r2MVJ0wwPIm8p1TWeQoNM',
  ],
  [
    'Argon2i, version 16',
    '$argon2i$v=16$m=4096,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$zFk4iB5wdhwIns4jDCD9Q2sCru5W9t00J+UWQ1pa2zY',
  ],
  [
    'Argon2id as Keycloak sets it',
    '$argon2id$v=19$m=7168,t=5,p=1$ZmVkY2JhOTg3NjU0MzIxMA$vjxSCq7NUX0U57MIqK/Tb5mEK/oBaEgOvXYRV4l3RtY',
  ],
  ['bcrypt, $2b$', '$2b$05$.9PgVH2zLKMwIhbcOSVEaeqk.Wyx4vdvPRN8U5a/oTlOxu7kDkIr2'],
  ['bcrypt, $2a$', '$2a$04$jJBVkihldkZKI547CtNqIu8l/j0.q8ICFAfBs6BPdiJm2ib9DVQeq'],
  ['bcrypt, $2y$', '$2y$04$JVDOC2yG8GupVRN3Qj9EnOtXpBIYKQcAQozFqttbw9ll8SpDe7Dh2'],
  ['scrypt', '$scrypt$ln=10,r=8,p=1$HMOYk5JyrnWuFSLE2HuPkQ$UQQU9r3/rymA2Yf+p53dQQiCw/5p0WKOTikcV0rLG5c'],
  [
    'scrypt, other parameters',
    '$scrypt$ln=8,r=4,p=3$a00JIaT03puTshZijHHOuQ$n+7Nc5hhSdLVsbcgC0MzXkl9sjt84Oe1vxLUVCJKF70',
  ],
  [
    'PBKDF2-SHA256 in passlib’s form',
    '$pbkdf2-sha256$1000$C0HofS/F.P8/h7AWonROCQ$lWmIEvf8sv.XXuRaCxnEszkiwqFnMM7YCXgYkR9f5Qs',
  ],
  [
    'PBKDF2-SHA512 in passlib’s form',
    '$pbkdf2-sha512$1000$eo.xVmqtFeJ8z7k3ZmxtzQ$Lpbol2gkunjIvSu4B8MkGbAyXNZ.M3R1MO5xEBRUndcGZbiH69RxuRiUICjTxrfd3wyxMM68vxqYi6yoB11RjQ',
  ],
  [
    'PBKDF2-SHA256 in PHC form',
    '$pbkdf2-sha256$i=1500$+//+AHNhbHQtb2YtMTYtYiE$1pJ4YXT/9fkJSqlZj7uNEF/rkmPGtO7inZiRxP8R5S4',
  ],
  [
    'PBKDF2-SHA256 of 64 bytes',
    '$pbkdf2-sha256$i=1500,l=64$+//+AHNhbHQtb2YtMTYtYiE$1pJ4YXT/9fkJSqlZj7uNEF/rkmPGtO7inZiRxP8R5S5a8DdIFc243JMO4xf+6klrFX5JIGikM6OYbx1Iu8AfFg',
  ],
  [
    'PBKDF2-SHA512 in PHC form',
    '$pbkdf2-sha512$i=1500,l=64$+//+AHNhbHQtb2YtMTYtYiE$YgdzxRHgr//kaA1cEU4T2HFlX/fUgsiSh6iieuTUwOepiWsQdHyNesAsymMxFymQvXKpoAq4Ixd2vsRrs++zBw',
  ],
  ['PBKDF2-SHA1 in PHC form', '$pbkdf2-sha1$i=1500$+///AHNhbHQtb2YtMTYtYiE$FnyvvnUiJPF1DQvN5Yj+g5oEKJQ'],
  [
    'PBKDF2-SHA1 of 64 bytes, as Keycloak made it',
    '$pbkdf2-sha1$i=20000,l=64$+///AHNhbHQtb2YtMTYtYiE$a7Pg/HDjJf94EhYkiUASStPmoeE/HJWyDoE2shn2IFHNzImmt1y4epAh1vfkICh+FxJoQdF5RICflCPNUQyRDg',
  ],
  [
    'Firebase’s scrypt',
    '$firebase-scrypt$ln=10,r=8,p=1,s=Bw,k=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA$MDEyMzQ1Njc4OQ$u2wcZwQoKR9h/42/jO5tLRmShR6/Wa8+Cd4jkcY4aZVTeNnmzzyQUfCWeDpUGt3RpJnGAevavcarrFsFkXf7UA',
  ],
] as const
