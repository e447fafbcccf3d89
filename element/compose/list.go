package compose

// Comma-separated lists, read as decode/sip reads them (sip.Message.List).

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// firstValue finds the first value of a list that is not empty; from is len(b) when there is none.
func firstValue(b []byte) (from, to int) {
	for at := 0; at < len(b); {
		end := nextComma(b, at)
		from, to = at, end
		for from < to && isBlank(b[from]) {
			from++
		}
		for to > from && isBlank(b[to-1]) {
			to--
		}
		if from < to {
			return from, to
		}
		at = end + 1
	}
	return len(b), len(b)
}

// afterValue gives where the next value begins behind one that ends at to, len(b) when none follows.
func afterValue(b []byte, to int) int {
	next, _ := firstValue(b[to:])
	return to + next
}

// nextComma finds the first comma from i on outside quotes and angle brackets, or the end.
func nextComma(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',':
			return i
		case '"':
			i = closeQuote(b, i, len(b))
		case '<':
			i = max(i, closeBracket(b, i))
		}
	}
	return len(b)
}

// closeQuote finds the quote that closes the one at i, or end.
func closeQuote(b []byte, i, end int) int {
	for i++; i < end; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return end
}

// closeBracket finds the ">" that closes the "<" at i, -1 when another "<" or the end comes first.
func closeBracket(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '>':
			return i
		case '<':
			return -1
		}
	}
	return -1
}
