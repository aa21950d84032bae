package local

// prefix keeps which records of a partition are done. Records end in any order,
// but only the offset up to which all are done may be committed: what is
// committed will not come again.
type prefix struct {
	open  []mark // in the order of the partition, the oldest first
	first int64  // the offset after the last record that is done and has none open before it
}

type mark struct {
	offset int64
	done   bool
}

// begin notes that a record is on its way. Offsets come in rising order, and
// may have gaps.
func (p *prefix) begin(offset int64) { p.open = append(p.open, mark{offset: offset}) }

// end notes that a record is done, and returns whether the prefix has grown.
func (p *prefix) end(offset int64) bool {
	low, high := 0, len(p.open)
	for low < high {
		if mid := (low + high) / 2; p.open[mid].offset < offset {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(p.open) || p.open[low].offset != offset {
		return false // not one of ours
	}
	p.open[low].done = true
	n := 0
	for n < len(p.open) && p.open[n].done {
		p.first = p.open[n].offset + 1
		n++
	}
	p.open = append(p.open[:0], p.open[n:]...)
	return n > 0
}

// size is the number of records from the first that is not done to the last
// that has begun.
func (p *prefix) size() int { return len(p.open) }
