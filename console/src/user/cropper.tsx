// Crops a square out of a picture: by sliders, or by dragging the preview.
import { type PointerEvent, useEffect, useId, useRef, useState } from 'react'

/** The service stores avatars of at most this size, and enlarges none. */
const sideMax = 512
const zoomMax = 4

/** @param props.onCrop must be stable, because each new one draws again */
type Props = { picture: ImageBitmap; onCrop: (image: () => Promise<Blob>) => void }

export function Cropper({ picture, onCrop }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [zoom, setZoom] = useState(1)
  // The centre of the crop, from 0 to 1 of the way that it can move.
  const [x, setX] = useState(0.5)
  const [y, setY] = useState(0.5)
  const length = Math.min(picture.width, picture.height) / zoom
  const side = Math.max(1, Math.min(sideMax, Math.round(length)))
  const [wayX, wayY] = [picture.width - length, picture.height - length]

  useEffect(() => {
    const { current } = canvas
    const context = current?.getContext('2d')
    if (!current || !context) return
    context.imageSmoothingQuality = 'high'
    context.clearRect(0, 0, side, side)
    context.drawImage(picture, x * wayX, y * wayY, length, length, 0, 0, side, side)
    onCrop(() => toBlob(current))
  }, [picture, x, y, length, side, wayX, wayY, onCrop])

  const drag = (event: PointerEvent<HTMLCanvasElement>) => {
    if (event.buttons !== 1) return
    const scale = length / event.currentTarget.clientWidth
    if (wayX > 0) setX(limit(x - (event.movementX * scale) / wayX))
    if (wayY > 0) setY(limit(y - (event.movementY * scale) / wayY))
  }
  return (
    <div className="flex flex-wrap items-center gap-4">
      <canvas
        ref={canvas}
        width={side}
        height={side}
        role="img"
        aria-label="Preview of the avatar"
        className="size-40 touch-none cursor-move rounded-full bg-hover"
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={drag}
      />
      <div className="flex min-w-40 flex-1 flex-col gap-2">
        <Slider label="Zoom" value={zoom} min={1} max={zoomMax} onChange={setZoom} />
        <Slider label="Across" value={x} min={0} max={1} onChange={setX} isDisabled={wayX === 0} />
        <Slider label="Down" value={y} min={0} max={1} onChange={setY} isDisabled={wayY === 0} />
        <p className="text-muted">
          Stored as a square of {side} pixels, without the picture's metadata. Lists show it as a circle.
        </p>
      </div>
    </div>
  )
}

type SliderProps = {
  label: string
  value: number
  min: number
  max: number
  onChange: (value: number) => void
  isDisabled?: boolean
}

function Slider({ label, value, min, max, onChange, isDisabled = false }: SliderProps) {
  const id = useId()
  return (
    <div className="flex flex-col">
      <label htmlFor={id} className="text-muted">
        {label}
      </label>
      <input
        id={id}
        type="range"
        className="accent-accent"
        min={min}
        max={max}
        step={(max - min) / 100}
        value={value}
        disabled={isDisabled}
        onChange={(event) => onChange(event.target.valueAsNumber)}
      />
    </div>
  )
}

const limit = (value: number) => Math.min(1, Math.max(0, value))

function toBlob(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('The browser cannot encode the picture.'))),
      'image/png',
    ),
  )
}
