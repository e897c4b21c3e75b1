import { groupOf } from '../../../../services/identity/access.ts'

/** The administrator of `npm start`, who is no user of the directory. */
export const sampleAdministrator = { username: 'admin', groups: [groupOf.admin] }
