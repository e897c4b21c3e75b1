import type { User } from '../api/directory.ts'

type ContactType = User['contacts'][number]['contact_type']

export const contactTypeText: Record<ContactType, string> = {
  PHONE: 'Phone',
  WORK: 'Work',
  WHATSAPP: 'WhatsApp',
  EMAIL: 'E-mail',
}

export const contactTypeOptions = Object.entries(contactTypeText).map(([value, text]) => ({ value, text }))
