#include "espectra/experiments/data/text_format.hpp"

#include "espectra/experiments/data/columns.hpp"
#include "espectra/experiments/data/number_text.hpp"
#include "espectra/experiments/data/text_records.hpp"
#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <span>

namespace espectra {

namespace {

/// A cell of the sample.
struct Cell {
    std::string text;
    bool quoted = false;
    bool missing = false;
    std::optional<double> number;

    bool word() const { return !missing && !number; }
    /// Returns true for an integer without a sign, a point or an exponent.
    bool counts() const {
        return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); });
    }
};

struct SampleRecord {
    Index line = 0;
    std::vector<Cell> cells;
};

/// The first records of a text.
struct Sample {
    std::vector<SampleRecord> records;
    std::string comment;  // the comment right before the first record
    bool whole = true;    // these are all records

    const SampleRecord& first() const { return records.front(); }
    /// The records after the first one.
    std::span<const SampleRecord> body() const { return std::span(records).subspan(1); }
};

Cell make_cell(const TextField& field, char separator) {
    Cell cell{std::string(field.text), field.quoted, is_missing(field.text), {}};
    double value = 0;
    if (!cell.missing && (parse_number(field.text, value) != NumberText::word ||
                          (separator != ',' && parse_decimal_comma(field.text, value) != NumberText::word)))
        cell.number = value;
    return cell;
}

Sample take_sample(std::string_view text, const std::string& source, char separator) {
    constexpr std::size_t most_records = 1000, most_cells = 200'000;
    Sample sample;
    RecordReader reader(text, source, separator);
    std::vector<TextField> fields;
    std::size_t cells = 0;
    while (reader.next(fields)) {
        if (sample.records.size() == most_records || (cells > most_cells && sample.records.size() > 10)) {
            sample.whole = false;
            break;
        }
        if (sample.records.empty()) sample.comment = reader.comment();
        SampleRecord& record = sample.records.emplace_back();
        record.line = reader.line();
        for (const TextField& field : fields) record.cells.push_back(make_cell(field, separator));
        cells += fields.size();
    }
    return sample;
}

/// Returns the number of fields that most records have; of several, that of the earliest record.
Index common_width(const Sample& sample) {
    std::map<std::size_t, std::size_t> counts;
    for (const SampleRecord& record : sample.records) ++counts[record.cells.size()];
    std::size_t width = 0;
    for (const SampleRecord& record : sample.records)
        if (counts[record.cells.size()] > counts[width]) width = record.cells.size();
    return static_cast<Index>(width);
}

/// Returns the fraction of the cells after the first record that are numbers or missing, times the fraction
/// of records that have the common number of fields; −1 where this is one field.
double quality(const Sample& sample) {
    const auto width = static_cast<std::size_t>(common_width(sample));
    if (width < 2) return -1;
    std::size_t regular = 0, numbers = 0;
    const std::size_t skipped = sample.records.size() > 1 ? 1 : 0;
    for (const SampleRecord& record : std::span(sample.records).subspan(skipped)) {
        if (record.cells.size() != width) continue;
        ++regular;
        numbers += static_cast<std::size_t>(
            std::ranges::count_if(record.cells, [](const Cell& cell) { return !cell.word(); }));
    }
    if (regular == 0) return 0;
    return static_cast<double>(numbers) / static_cast<double>(regular * width) *
           static_cast<double>(regular) / static_cast<double>(sample.records.size() - skipped);
}

/// Takes the separator of a first line "sep=;", by which spreadsheets are told, and overwrites the line.
std::optional<char> take_separator_line(std::string& text) {
    const std::string_view line = std::string_view(text).substr(0, text.find_first_of("\r\n"));
    std::string_view content = line;
    if (content.size() == 7 && content.front() == '"' && content.back() == '"')
        content = content.substr(1, 5);
    if (content.size() != 5 || !content.starts_with("sep=")) return std::nullopt;
    const char separator = content.back();
    if (separator != ',' && separator != ';' && separator != '\t' && separator != '|') return std::nullopt;
    std::fill_n(text.begin(), line.size(), ' ');
    return separator;
}

/// Returns the separator by which the most cells are numbers, and its sample. Of equals, the first of this
/// list: blanks are the last, as they also come after other separators.
std::pair<char, Sample> find_separator(std::string& text, const std::string& source) {
    if (const auto given = take_separator_line(text)) return {*given, take_sample(text, source, *given)};
    std::pair<char, Sample> best;
    double best_quality = -2;
    std::optional<InputError> failure;  // of quotes
    const std::string_view head = std::string_view(text).substr(0, 1 << 20);
    for (const char separator : {'\t', ';', ',', '|', RecordReader::blanks}) {
        if (separator != RecordReader::blanks && separator != ',' &&
            head.find(separator) == std::string_view::npos)
            continue;
        try {
            Sample sample = take_sample(text, source, separator);
            if (const double found = quality(sample); found > best_quality) {
                best_quality = found;
                best = {separator, std::move(sample)};
            }
        } catch (const InputError& error) {
            if (!failure || separator == ',') failure = error;
        }
    }
    if (failure && best_quality < 0) throw *failure;
    return best;
}

/// What the first record is.
enum class FirstRecord { example, header, unknown };

/// Returns true if the numbers of the record are 0, 1, 2, … or 1, 2, 3, … by their columns, as pandas names
/// columns without names.
bool counts_columns(const std::vector<Cell>& cells) {
    for (const double start : {0.0, 1.0, -1.0}) {  // −1: the column of row numbers has an empty name
        bool matches = true;
        for (std::size_t j = 0; j < cells.size(); ++j)
            if (cells[j].number)
                matches = matches && cells[j].counts() && *cells[j].number == static_cast<double>(j) + start;
        if (matches && (start >= 0 || cells.front().missing)) return true;
    }
    return false;
}

/// Compares the first record with those after it.
class HeaderDecision {
  public:
    /// `outcome`: the column of labels or of the first target.
    HeaderDecision(const Sample& sample, std::size_t outcome, bool labels)
        : first_(sample.first().cells), body_(sample.body()), outcome_(outcome), labels_(labels) {}

    FirstRecord decide() const {
        const auto count = [&](auto kind) { return std::ranges::count_if(first_, kind); };
        const auto words = count(&Cell::word),
                   numbers = count([](const Cell&c) { return c.number.has_value(); }),
                   marked = count([](const Cell&c) { return c.missing && !c.text.empty(); });
        if (numbers == 0 && marked == 0) {
            const bool complete = words == std::ssize(first_);
            return complete || word_over_numbers() ? FirstRecord::header : FirstRecord::example;
        }
        const bool quoted =
            std::ranges::all_of(first_, [](const Cell& c) { return c.quoted || c.text.empty(); });
        if (quoted && !any_number_in_quotes()) return FirstRecord::header;
        if (words > 0) {
            if (word_over_numbers())
                return counts_columns(first_) && (numbers >= 4 || body_has_points()) ? FirstRecord::header
                                                                                     : FirstRecord::unknown;
            return label_is_elsewhere() || !all_count() ? FirstRecord::example : FirstRecord::unknown;
        }
        if (first_.front().missing && counts_columns(first_)) return FirstRecord::header;
        return decide_numbers();
    }

  private:
    /// Decides for a record of numbers alone.
    FirstRecord decide_numbers() const {
        const bool odd_label = labels_ && !label_is_elsewhere(), odd_form = all_count() && body_has_points();
        if (all_count() && counts_columns(first_)) {
            if (first_.size() >= 5 || odd_label || odd_form) return FirstRecord::header;
            return first_.size() >= 3 ? FirstRecord::unknown : FirstRecord::example;
        }
        const bool ascending =
            std::ranges::is_sorted(first_, {}, [](const Cell& c) { return c.number.value_or(0); });
        return first_.size() >= 3 && ((odd_form && (odd_label || !labels_)) || (odd_label && ascending))
                   ? FirstRecord::unknown
                   : FirstRecord::example;
    }

    bool word_over_numbers() const {
        for (std::size_t j = 0; j < first_.size(); ++j)
            if (first_[j].word() && all_numbers(j)) return true;
        return false;
    }
    bool any_number_in_quotes() const {
        return std::ranges::any_of(body_, [](const SampleRecord& record) {
            return std::ranges::any_of(record.cells, [](const Cell& c) { return c.quoted && c.number; });
        });
    }
    /// Returns true if the cells of column j after the first record are numbers, except missing ones.
    bool all_numbers(std::size_t j) const {
        bool any = false;
        for (const SampleRecord& record : body_) {
            if (j >= record.cells.size() || record.cells[j].missing) continue;
            if (!record.cells[j].number) return false;
            any = true;
        }
        return any;
    }
    bool all_count() const {
        return std::ranges::all_of(first_, [](const Cell& c) { return !c.number || c.counts(); });
    }
    /// Returns true if no number of a feature after the first record is written as an integer.
    bool body_has_points() const {
        for (const SampleRecord& record : body_)
            for (std::size_t j = 0; j < record.cells.size(); ++j)
                if (j != outcome_ && record.cells[j].number && record.cells[j].counts()) return false;
        return !body_.empty();
    }
    /// Returns true unless the label of the first record occurs nowhere else while all others do.
    bool label_is_elsewhere() const {
        if (!labels_ || outcome_ >= first_.size() || body_.size() < 4) return true;
        std::map<std::string, int> counts;
        for (const SampleRecord& record : body_)
            if (outcome_ < record.cells.size()) ++counts[record.cells[outcome_].text];
        return counts.contains(first_[outcome_].text) ||
               std::ranges::any_of(counts, [](const auto& entry) { return entry.second == 1; });
    }

    const std::vector<Cell>& first_;
    std::span<const SampleRecord> body_;
    std::size_t outcome_;
    bool labels_;
};

/// Returns the number of records of the text.
Index count_records(std::string_view text, const std::string& source, char separator) {
    RecordReader reader(text, source, separator);
    std::vector<TextField> fields;
    Index count = 0;
    while (reader.next(fields)) ++count;
    return count;
}

/// Recognises the first line of scikit-learn's files "150,4,setosa,versicolor,virginica": the numbers of
/// examples and features, and perhaps the labels of the classes. Removes it from the sample.
void take_announcement(std::string_view text, const std::string& source, Sample& sample, TextFormat& format) {
    const std::vector<Cell>& cells = sample.first().cells;
    if (cells.size() < 2 || !cells[0].counts() || !cells[1].counts() || sample.body().empty()) return;
    if (*cells[1].number != static_cast<double>(format.columns - 1)) return;
    std::vector<std::string> classes;
    for (const Cell& cell : std::span(cells).subspan(2)) {
        if (cell.number) return;
        if (!cell.text.empty()) classes.push_back(cell.text);
    }
    if (classes.size() == 1) return;
    // boston.csv has a header in addition.
    const Index following =
        sample.whole ? std::ssize(sample.body()) : count_records(text, source, format.separator) - 1;
    const double announced = *cells[0].number;
    if (announced != static_cast<double>(following) && announced + 1 != static_cast<double>(following))
        return;
    format.announced = true;
    format.announced_examples = static_cast<Index>(announced);
    format.announced_classes = std::move(classes);
    sample.records.erase(sample.records.begin());
}

bool is_boolean(const std::string& text) {
    double ignored = 0;
    return parse_boolean(text, ignored);
}

/// Finds which columns are empty, have words, or have booleans only.
void classify_columns(const Sample& sample, TextFormat& format) {
    const auto width = static_cast<std::size_t>(format.columns);
    format.empty.assign(width, true);
    format.words.assign(width, false);
    format.booleans.assign(width, true);
    for (const SampleRecord& record : sample.records) {
        if (record.cells.size() != width) continue;
        const bool names = format.header && &record == &sample.first();
        for (std::size_t j = 0; j < width; ++j) {
            const Cell& cell = record.cells[j];
            if (!cell.text.empty()) format.empty[j] = false;
            if (names || cell.missing) continue;
            if (cell.word()) format.words[j] = true;
            if (!is_boolean(cell.text)) format.booleans[j] = false;
        }
    }
    for (std::size_t j = 0; j < width; ++j) format.booleans[j] = format.booleans[j] && format.words[j];
}

/// Returns the names of the columns if the comment before the first record is a list of them, as
/// numpy.savetxt writes a header.
std::vector<std::string> names_in_comment(const Sample& sample, const std::string& source,
                                          const TextFormat& format) {
    std::vector<std::string> names;
    RecordReader reader(sample.comment, source, format.separator);
    std::vector<TextField> fields;
    try {
        if (!reader.next(fields) || std::ssize(fields) != format.columns) return {};
    } catch (const InputError&) {  // a quote in a remark
        return {};
    }
    for (const TextField& field : fields) {
        if (!make_cell(field, format.separator).word()) return {};
        names.emplace_back(field.text);
    }
    return names;
}

/// Returns true if the options name a column, so that there must be a header.
bool options_name_columns(const DataOptions& options) {
    for (const auto* list : {&options.features, &options.labels, &options.targets})
        for (const ColumnName& column : *list)
            if (const auto* name = std::get_if<std::string>(&column); name && !column_range(*name))
                return true;
    return false;
}

/// Returns the column of the labels or of the first target, if it is known by its place; by default the last
/// column that is not empty.
std::size_t outcome_column(const DataOptions& options, const Sample& sample) {
    const auto& list = options.labels.empty() ? options.targets : options.labels;
    const Index* const place = list.empty() ? nullptr : std::get_if<Index>(&list.front());
    const auto columns = std::ssize(sample.first().cells);
    if (place) return static_cast<std::size_t>(*place < 0 ? columns + *place : *place - 1);
    auto last = static_cast<std::size_t>(columns - 1);
    const auto is_empty = [&](const SampleRecord& record) {
        return last >= record.cells.size() || record.cells[last].text.empty();
    };
    while (last > 0 && std::ranges::all_of(sample.records, is_empty)) --last;
    return last;
}

/// Adjusts the number of columns to a first record that has one field less or more than the others: R gives
/// names of rows no field in the header, and separators at the end of lines may be missing in the header or
/// be in it alone.
void fit_first_record(Sample& sample, const std::string& source, const DataOptions& options,
                      TextFormat& format) {
    std::vector<Cell>& first = sample.records.front().cells;
    const auto width = static_cast<std::size_t>(format.columns);
    const bool last_is_empty = std::ranges::all_of(sample.body(), [&](const SampleRecord& record) {
        return record.cells.size() != width || record.cells.back().text.empty();
    });
    const bool words =
        std::ranges::none_of(first, [](const Cell& cell) { return cell.number && !cell.quoted; });
    while (first.size() > width && first.back().text.empty()) first.pop_back();
    if (first.size() + 1 == width && !sample.body().empty() && options.header != Header::absent) {
        if (last_is_empty) {
            first.emplace_back();
        } else if (words) {
            first.insert(first.begin(), Cell{});
            format.row_names = true;
        }
    }
    if (first.size() != width)
        throw InputError(fmt::format("{}:{}: expected {} columns, as most lines have, got {}", source,
                                     sample.first().line, format.columns, first.size()));
}

/// Throws for a first record that may be a header or an example.
[[noreturn]] void ask_for_header(const Sample& sample, const std::string& source) {
    std::vector<std::string> cells;
    bool words = false;
    for (const Cell& cell : sample.first().cells) {
        words = words || cell.word();
        if (cells.size() < 6) cells.push_back(fmt::format("\"{}\"", printable(cell.text, 20)));
    }
    if (sample.first().cells.size() > cells.size()) cells.emplace_back("…");
    throw InputError(fmt::format(
        "{}:{}: may be names of columns or an example: {} has {}; set data.header = true or false", source,
        sample.first().line, fmt::join(cells, ", "), words ? "words and numbers" : "numbers alone"));
}

/// Returns true if the first record has the names of the columns, or throws where this is not clear.
/// `comment_has_names`: the comment before it has them.
bool first_is_header(const Sample& sample, const std::string& source, const DataOptions& options,
                     bool comment_has_names) {
    if (options.header != Header::automatic) return options.header == Header::present;
    if (options_name_columns(options) && !comment_has_names) return true;
    const bool labels = options.targets.empty() && (!options.labels.empty() || !options.regression);
    switch (HeaderDecision(sample, outcome_column(options, sample), labels).decide()) {
        case FirstRecord::header:
            return true;
        case FirstRecord::unknown:
            if (!comment_has_names) ask_for_header(sample, source);
            break;
        case FirstRecord::example:
            break;
    }
    return false;
}

}  // namespace

TextFormat find_format(std::string& text, const std::string& source, const DataOptions& options) {
    auto [separator, sample] = find_separator(text, source);
    if (sample.records.empty()) throw InputError(fmt::format("{}: no examples", source));
    TextFormat format;
    format.separator = separator;
    format.columns = common_width(sample);
    if (options.header == Header::automatic) take_announcement(text, source, sample, format);
    fit_first_record(sample, source, options, format);
    const std::vector<std::string> comment = names_in_comment(sample, source, format);
    format.header = format.row_names || first_is_header(sample, source, options, !comment.empty());
    if (format.header)
        for (const Cell& cell : sample.first().cells) format.names.push_back(cell.text);
    else
        format.names = comment;
    classify_columns(sample, format);
    return format;
}

}  // namespace espectra
