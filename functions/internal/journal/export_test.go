package journal

// Of package journal, for its tests outside of it.
var (
	OpenForTest = open
	EntryOf     = entry
)

// MarksAtOnce is the most marks of one document.
const MarksAtOnce = marksAtOnce
