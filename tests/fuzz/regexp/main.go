// What Go's regexp makes of an expression and a text, one pair a line: both in hexadecimal, separated by a space. The answer
// is "invalid", "none", or the first and last offset of the leftmost match.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func answer(line string) string {
	expression, text, _ := strings.Cut(line, " ")
	source, err := hex.DecodeString(expression)
	if err != nil {
		return err.Error()
	}
	subject, err := hex.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	compiled, err := regexp.Compile(string(source))
	if err != nil {
		return "invalid"
	}
	found := compiled.FindIndex(subject)
	if found == nil {
		return "none"
	}
	return fmt.Sprintf("%d %d", found[0], found[1])
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Println(answer(strings.TrimSuffix(line, "\n")))
	}
}
