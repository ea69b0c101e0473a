//go:build !race

package message

// How many messages are compared with Dovecot's answers.
const compareN, searchN = 2000, 800
