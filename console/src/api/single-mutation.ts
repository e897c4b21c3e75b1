import { type UseMutationOptions, useMutation } from '@tanstack/react-query'
import { useRef } from 'react'

/**
 * `useMutation` that ignores calls while its request runs. The second click of a double click comes before the button is
 * disabled, and would send the change again.
 */
export function useSingleMutation<Data, Input = void>({
  mutationFn: send,
  ...options
}: UseMutationOptions<Data, Error, Input> & { mutationFn: (input: Input) => Promise<Data> }) {
  const isRunning = useRef(false)
  const mutation = useMutation<Data, Error, Input>({
    ...options,
    mutationFn: (input) => send(input).finally(() => (isRunning.current = false)),
  })
  const mutate = (input: Input): void => {
    if (isRunning.current) return
    isRunning.current = true
    mutation.mutate(input)
  }
  return { ...mutation, mutate }
}
