// Searches while the person types.
import { useEffect, useRef, useState } from 'react'

const delayMs = 100

type Props = { value: string | undefined; onChange: (search: string | undefined) => void }

export function SearchBox({ value = '', onChange }: Props) {
  const [input, setInput] = useState(value)
  const field = useRef<HTMLInputElement>(null)
  const sent = useRef(value)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])

  // Another address, as from the back button, replaces the input.
  useEffect(() => {
    if (value === sent.current) return
    clearTimeout(timer.current)
    sent.current = value
    setInput(value)
  }, [value])

  const send = (text: string) => {
    clearTimeout(timer.current)
    if (text.trim() === sent.current) return
    sent.current = text.trim()
    onChange(sent.current || undefined)
  }

  const type = (text: string) => {
    setInput(text)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => send(text), delayMs)
  }

  const clear = () => {
    setInput('')
    send('')
  }

  return (
    <div className="relative min-w-48 flex-[1_1_16rem] sm:max-w-md">
      <input
        ref={field}
        type="search"
        // The side of the button depends on the page, but the direction of the field on its text.
        className="field pr-8 [&::-webkit-search-cancel-button]:hidden [[dir=rtl]_&]:pr-2 [[dir=rtl]_&]:pl-8"
        dir="auto"
        aria-label="Search users"
        placeholder="Search name, username, contact"
        autoComplete="off"
        maxLength={256}
        value={input}
        onChange={({ target }) => type(target.value)}
        // A search sent later would undo the navigation to a row that is clicked now.
        onBlur={() => send(input)}
        onKeyDown={({ key, nativeEvent }) => {
          if (nativeEvent.isComposing) return
          if (key === 'Escape') clear()
          if (key === 'Enter') send(input)
        }}
      />
      {input !== '' && (
        <button
          type="button"
          tabIndex={-1}
          className="absolute inset-y-0 end-0 w-8"
          aria-label="Clear the search"
          onClick={() => {
            clear()
            field.current?.focus()
          }}
        >
          ✕
        </button>
      )}
    </div>
  )
}
