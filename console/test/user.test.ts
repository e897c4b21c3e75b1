// One user in the browser: contacts, the avatar, the password, and the end of sessions.
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import type { User } from '../../src/model/user.ts'
import { uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const read = async (id: string) => (await service.call<User>('GET', `/user/${id}`)).body
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

/** @returns a PNG whose left half is red and whose right half is blue */
async function redAndBlue(width: number, height: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  const half = { width: Math.floor(width / 2), height, channels: 3, background: '#f00' } as const
  const red = await sharp({ create: half }).png().toBuffer()
  return sharp({ create: { width, height, channels: 3, background: '#00f' } })
    .composite([{ input: red, left: 0, top: 0 }])
    .png()
    .toBuffer()
}

async function storedPicture({ id }: User): Promise<{ size: number; color: string }> {
  const { default: sharp } = await import('sharp')
  const { avatar } = await read(id)
  const bytes = await service.connections.avatars.read(avatar ?? '')
  if (!bytes) throw new Error('there is no avatar')
  const { width = 0, height } = await sharp(bytes).metadata()
  expect(height).toBe(width)
  const { channels } = await sharp(bytes).stats()
  const [red = 0, , blue = 0] = channels.map(({ mean }) => mean)
  return { size: width, color: red > 200 && blue < 50 ? 'red' : blue > 200 && red < 50 ? 'blue' : 'both' }
}

it('an avatar is cropped by keyboard and mouse, never enlarged, and removed', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  const choose = async () => {
    await button(page, 'Avatar…').click()
    const buffer = await redAndBlue(600, 300)
    await page.getByLabel('Picture').setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer })
    await page.getByText('Stored as a square of 300 pixels').waitFor()
  }
  await choose()
  await page.getByLabel('Across').press('Home')
  await button(page, 'Save').click()
  await page.getByText('The avatar is saved.').waitFor()
  expect(await storedPicture(user)).toEqual({ size: 300, color: 'red' })

  await choose()
  const preview = await page.getByRole('img', { name: 'Preview of the avatar' }).boundingBox()
  if (!preview) throw new Error('there is no preview')
  await page.mouse.move(preview.x + 80, preview.y + 80)
  await page.mouse.down()
  await page.mouse.move(preview.x - 200, preview.y + 80, { steps: 5 })
  await page.mouse.up()
  await button(page, 'Save').click()
  await page.getByText('The avatar is saved.').last().waitFor()
  await until('the right half to be stored', async () => (await storedPicture(user)).color === 'blue')

  await button(page, 'Avatar…').click()
  await button(page, 'Remove the avatar').click()
  await page.getByText('The avatar is removed.').waitFor()
  expect((await read(user.id)).avatar).toBe(null)
})

it('a file that is no picture is refused before it is sent', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  await button(page, 'Avatar…').click()
  const file = {
    name: 'a.png',
    mimeType: 'image/png',
    buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
  }
  await page.getByLabel('Picture').setInputFiles(file)
  await page.getByText('The browser cannot read this file.').waitFor()
  expect(await button(page, 'Save').isDisabled()).toBe(true)
})

it('a password is set, its faults are at the field, and it is removed', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  await button(page, 'Password…').click()
  const field = page.getByLabel('New password')
  await field.fill('short')
  await button(page, 'Set the password').click()
  await page.getByText('must be 8 to 128 characters').waitFor()
  expect(await field.getAttribute('aria-invalid')).toBe('true')
  await field.fill('another long password')
  await field.press('Enter')
  await page.getByText('The password is set.').waitFor()
  await button(page, 'Password…').click()
  await button(page, 'Remove the password').click()
  await page.getByText('The password is removed.').waitFor()
})

it('contacts are reordered by dragging', async () => {
  const values = ['one', 'two', 'three']
  const user = await service.makeUser({ contacts: values.map((value) => ({ contact_type: 'WORK', value })) })
  const page = await open(`/users/${user.id}`)
  await button(page, 'Edit e').click()
  const drag = async (from: number, to: number) => {
    const boxes = await Promise.all(
      [from, to].map((at) => page.getByTitle('Drag to another place').nth(at).boundingBox()),
    )
    const [start, end] = boxes.map((box) => ({ x: (box?.x ?? 0) + 5, y: (box?.y ?? 0) + 40 }))
    if (!start || !end) throw new Error('there is no handle')
    await page.mouse.move(start.x, start.y)
    await page.mouse.down()
    await page.mouse.move(end.x, end.y, { steps: 4 })
    await page.mouse.up()
  }
  await drag(0, 2)
  await page.getByText('Contact moved to place 3 of 3.').waitFor({ state: 'attached' })
  await drag(1, 0)
  await button(page, 'Save').click()
  await page.getByText(`${user.username} is saved.`).waitFor()
  expect((await read(user.id)).contacts.map(({ value }) => value)).toEqual(['three', 'two', 'one'])
})

it('a block shows when the last session was refused', async () => {
  const user = await service.makeUser()
  const theirs = await open('/users', { role: 'readers', username: user.username })
  const page = await open(`/users/${user.id}`)
  await button(page, 'Block').click()
  await page.getByText(`${user.username} is blocked.`).waitFor()
  const reload = theirs.getByRole('button', { name: 'Reload' })
  const dialog = theirs.getByRole('alertdialog', { name: 'Your session has ended' })
  await until('the session to end', async () => {
    if (await dialog.isVisible()) return true
    await reload.click({ timeout: 1_000 }).catch(() => undefined)
    return false
  })
  await page.getByText(/after the block or the new password/).waitFor()
})

it('the way back from a user leads to the same place of the same list', async () => {
  const name = uniqueName('place')
  await Promise.all(Array.from({ length: 60 }, () => service.makeUser({ name })))
  const page = await open(`/users?search=${name}`)
  await page.getByText('60 users').waitFor()
  const grid = page.getByRole('grid')
  const top = () => grid.evaluate((element: { scrollTop: number }) => element.scrollTop)
  await grid.evaluate((element: { scrollTop: number }) => {
    element.scrollTop = 900
  })
  await until('the list to scroll', async () => (await top()) === 900)
  // Rows are rendered later than the list scrolls, and while it scrolls they take no clicks.
  const middleRow = async (): Promise<string | undefined> => {
    const text = await page.evaluate(`(() => {
      const { left, top, width, height } = document.querySelector('[role=grid]').getBoundingClientRect()
      const middle = document.elementFromPoint(left + width / 2, top + height / 2)
      return middle?.closest('[role=row]')?.textContent ?? ''
    })()`)
    return /user\.[0-9a-f]{12}/.exec(String(text))?.[0]
  }
  const username = await until('a row in the middle', middleRow)
  const row = page.getByRole('row', { name: username })
  await row.click()
  await page.getByRole('link', { name: 'All users' }).click()
  await page.getByText('60 users').waitFor()
  await until('the place', async () => Math.abs((await top()) - 900) < 40)
  await until('the row to take clicks', async () => (await middleRow()) === username)
  await row.click()
  await button(page, 'Edit e').waitFor()
  await page.goBack()
  await until('the place after going back', async () => Math.abs((await top()) - 900) < 40)
})
