package impact

import (
	"maps"
	"slices"
)

func HasMeaning(field string) bool { return meanings[field].more != "" && meanings[field].less != "" }

func Meanings() []string { return slices.Sorted(maps.Keys(meanings)) }
