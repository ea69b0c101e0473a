package mailview

import "strings"

// properties are those that lay out and colour a document. None of them runs anything (behavior, -moz-binding), moves
// (animation, transition), or makes text to be fetched or counted.
var properties = names(`
	align-content align-items align-self aspect-ratio background background-attachment background-clip background-color
	background-image background-origin background-position background-repeat background-size border-collapse
	border-radius border-spacing bottom box-shadow box-sizing break-after break-before break-inside caption-side clear
	color color-scheme column-count column-gap column-rule column-width columns content direction display empty-cells
	flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap float font font-family font-size
	font-stretch font-style font-variant font-weight gap grid grid-area grid-column grid-gap grid-row
	grid-template-columns grid-template-rows height hyphens justify-content justify-items justify-self left
	letter-spacing line-height list-style list-style-image list-style-position list-style-type max-height max-width
	min-height min-width object-fit object-position opacity order orphans outline outline-color outline-offset
	outline-style outline-width overflow overflow-wrap overflow-x overflow-y page-break-after page-break-before
	page-break-inside place-content place-items position quotes right row-gap tab-size table-layout text-align
	text-align-last text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent
	text-overflow text-shadow text-transform text-underline-offset top transform transform-origin unicode-bidi
	vertical-align visibility white-space widows width word-break word-spacing word-wrap writing-mode z-index zoom
	-webkit-font-smoothing -webkit-text-size-adjust -ms-text-size-adjust`)

// pictureProperties may name a picture.
var pictureProperties = names(`background background-image list-style list-style-image`)

var allowedFunctions = names(`rgb rgba hsl hsla calc min max clamp linear-gradient radial-gradient
	repeating-linear-gradient repeating-radial-gradient minmax repeat translate translatex translatey rotate scale`)

func names(list string) map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(list) {
		m[name] = true
	}
	return m
}

func allowedProperty(name string) bool {
	for _, family := range [...]string{"border", "margin", "padding"} {
		if rest, ok := strings.CutPrefix(name, family); ok && (rest == "" || rest[0] == '-') {
			return !strings.Contains(rest, "image") // border-image fetches
		}
	}
	return properties[name]
}

// allowedPosition keeps a mail from covering all of its frame wherever one scrolls.
func allowedPosition(value []byte) bool {
	switch strings.ToLower(string(value)) {
	case "static", "relative", "absolute", "initial", "inherit", "unset", "important":
		return true
	}
	return false
}
