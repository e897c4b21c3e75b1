// Dragging a row of a list by its handle, with a mouse, a pen or a finger. For keyboards there are buttons.
import { type PointerEvent, useState } from 'react'

type Drag = { from: number; to: number }

/** @param onMove called when a row is dropped at another place */
export function useDragRows(onMove: (from: number, to: number) => void) {
  const [drag, setDrag] = useState<Drag>()
  const handle = (index: number) => ({
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (event.button !== 0) return
      event.preventDefault()
      event.currentTarget.setPointerCapture(event.pointerId)
      setDrag({ from: index, to: index })
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      const list = event.currentTarget.closest('ol')
      if (drag && list) setDrag({ ...drag, to: rowAt(list, event.clientY) })
    },
    onPointerUp: () => {
      setDrag(undefined)
      if (drag && drag.from !== drag.to) onMove(drag.from, drag.to)
    },
    onPointerCancel: () => setDrag(undefined),
  })
  /** @returns where the dragged row would be dropped, as seen from this row */
  const dropSide = (index: number): 'before' | 'after' | undefined => {
    if (!drag || drag.from === drag.to || drag.to !== index) return undefined
    return drag.to < drag.from ? 'before' : 'after'
  }
  return { handle, dropSide, isDragged: (index: number) => drag?.from === index }
}

/** @returns the row at a height, or the nearest */
function rowAt(list: HTMLElement, y: number): number {
  const rows = [...list.children]
  const below = rows.findIndex((row) => y < row.getBoundingClientRect().bottom)
  return below < 0 ? rows.length - 1 : below
}
