// Removes accents from text, for search and for sorting by name.

// Letters with a stroke, hook or ligature that Unicode does not decompose, and apostrophes and dashes, as mapped by
// CLDR (common/transforms/Latin-ASCII.xml). Lower case only.
const latinAscii =
  'a:ⱥᴀᶏ aa:ꜳ ae:æᴁ ao:ꜵ au:ꜷ av:ꜹꜻ ay:ꜽ b:ƀɓƃʙᴃᵬᶀ c:ƈȼɕᴄꞓ d:ðđɖɗƌȡᴅᴆᵭᶁᶑꝱꝺ db:ȸ dz:ʣʥ e:ɛɇᴇᶒᶓⱸ f:ƒᵮᶂꜰꝼ ' +
  'g:ɠǥɡɢʛᶃꞡ h:ħɦɧʜⱨ hv:ƕ i:ıɩɨɪᵻᶖ j:ȷɉɟʝᴊ k:ƙᴋᶄⱪꝁꝃꝅꞣ l:łƚȴɫɬɭʟᴌᶅⱡꝇꝉꝲ ll:ỻ ls:ʪ lz:ʫ m:ɱᴍᵯᶆꝳ ' +
  'n:ŋɲƞȵɳɴᵰᶇꝴꞑꞥ o:øᴏⱺꝋꝍ oe:œɶ oi:ƣ oo:ꝏ p:ƥᴘᵱᵽᶈꝑꝓꝕ q:ĸʠꝗꝙ qp:ȹ r:ɍɼɽɾʀᵲᵳᶉꝵꝶꞧ s:ȿʂᵴᶊẜẝꜱꞩ ss:ß ' +
  't:ŧƫƭʈȶⱦᴛᵵꝷꞇ th:þᵺꝥꝧ ts:ʦ u:ʉᴜᵾᶙ ue:ᵫ v:ʋᴠᶌỽⱱⱴꝟ vy:ꝡ w:ᴡⱳ x:ᶍ y:ƴɏʏỿ z:ƶȥɀʐʑᴢᵶᶎⱬ ' +
  "':ʹʻʼʽˈ‘’‛′ -:‐‑‒–—―−"

const ascii = new Map(
  latinAscii.split(' ').flatMap((entry): [string, string][] => {
    const [base = '', variants = ''] = entry.split(':')
    return [...variants].map((variant) => [variant, base])
  }),
)
const mapped = new RegExp(`[${[...ascii.keys()].join('')}]`, 'gu')

// In these scripts a mark only modifies its letter: in Unicode collation (UTS #10) both have the same primary weight.
// In all others, such as Thai, Devanagari and kana, a mark is a letter of its own and is kept.
const accented = /(?=\p{L})([\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}\p{sc=Hebrew}\p{sc=Arabic}])(\p{M}+)/gu
const breve = '\u0306'

// Invisible characters, such as joiners and variation selectors, and the Arabic tatweel.
const invisible = /[\p{Default_Ignorable_Code_Point}\u0640]/gu

/**
 * Reduces text to base letters: no accents, ASCII for Latin letters, ASCII digits. Keeps marks that are letters, and
 * й, which is a letter of its own in UTS #10.
 * @param folded the result of `fold`
 */
export function baseLetters(folded: string): string {
  if (/^[\x20-\x7e]*$/.test(folded)) return folded
  return folded
    .normalize('NFD')
    .replace(invisible, '')
    .replace(accented, (_, letter: string, marks: string) =>
      letter === 'и' && marks.includes(breve) ? letter + breve : letter,
    )
    .replace(mapped, (character) => ascii.get(character) ?? character)
    .replace(/[^\P{Nd}0-9]/gu, asciiDigit)
    .normalize('NFC')
}

/** In Unicode the decimal digits of a script are contiguous, from 0 to 9. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let zero = code
  while (/^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--
  return String((code - zero) % 10)
}
