//go:build race

package message

// Under the race detector fewer messages are compared.
const compareN, searchN = 600, 200
