#include "espectra/experiments/data/cell_reader.hpp"
#include "espectra/experiments/data/columns.hpp"
#include "espectra/experiments/data/data_set.hpp"
#include "espectra/experiments/data/labels.hpp"
#include "espectra/experiments/data/row_numbers.hpp"
#include "espectra/experiments/data/text_format.hpp"
#include "espectra/experiments/data/text_records.hpp"
#include "espectra/experiments/files/gzip.hpp"
#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// No library reads tables as they are found: libcsv and libfccp (Debian), rapidcsv, csv-parser and Arrow's
// reader split quoted fields at a separator that they are told (csv-parser guesses it), and leave decimal
// commas, runs of blanks, comments, headers of numbers, row numbers and the lines of errors to the caller.

namespace espectra {

namespace {

/// The columns of a table by their use, from 0.
struct TableColumns {
    std::vector<Index> features, outcomes;
    bool labels = false;           ///< the outcome is one column of class labels
    bool last_is_outcome = false;  ///< because the options do not choose one
    std::vector<Index> numbering;  ///< features before all others that may number the rows
    std::vector<std::string> notes;
};

bool contains(const std::vector<Index>& columns, Index column) {
    return std::ranges::find(columns, column) != columns.end();
}

/// Returns "column 2 (height)".
std::string column_with_name(const TextFormat& format, Index column) {
    const std::string name = format.names.empty() ? "" : format.names[static_cast<std::size_t>(column)];
    return name.empty() ? columns_text({column})
                        : fmt::format("{} ({})", columns_text({column}), printable(name, 40));
}

/// Chooses the features where the options do not: all columns but the outcomes, those without content, and
/// names of rows.
void choose_features(const TextFormat& format, TableColumns& columns) {
    const auto is = [](const std::vector<bool>& list, Index j) { return list[static_cast<std::size_t>(j)]; };
    const auto unnamed = [&](Index j) {
        return format.header && RowNumbers::is_unnamed(format.names[static_cast<std::size_t>(j)]);
    };
    std::vector<Index> empty;
    bool leading = true;
    for (Index j = 0; j < format.columns; ++j) {
        if (contains(columns.outcomes, j)) continue;
        if (is(format.empty, j)) {
            empty.push_back(j);
        } else if (leading && unnamed(j) && is(format.words, j)) {
            columns.notes.push_back(fmt::format("column {} has the names of the rows: left out", j + 1));
        } else {
            if (leading && (unnamed(j) || columns.features.empty())) columns.numbering.push_back(j);
            columns.features.push_back(j);
            leading = unnamed(j);
        }
    }
    // Separators at the ends of lines need no mention.
    for (Index last = format.columns - 1; !empty.empty() && empty.back() == last; --last) empty.pop_back();
    if (!empty.empty()) columns.notes.push_back(fmt::format("{} left out: empty", columns_text(empty)));
}

TableColumns choose_columns(const TextFormat& format, const DataOptions& options, const std::string& source) {
    TableColumns columns;
    const auto find = [&](const std::vector<ColumnName>& wanted, const char* key) {
        return find_columns(wanted, format.columns, format.names, source, key);
    };
    const bool chosen = !options.labels.empty() || !options.targets.empty();
    columns.labels = !options.labels.empty() || (options.targets.empty() && !options.regression);
    columns.outcomes =
        options.labels.empty() ? find(options.targets, "data.targets") : find(options.labels, "data.labels");
    if (columns.labels && columns.outcomes.size() > 1)
        throw InputError(fmt::format("{}: data.labels: expected one column, got {}", source,
                                     columns_text(columns.outcomes)));
    if (!chosen) {
        Index last = format.columns - 1;
        while (last > 0 && format.empty[static_cast<std::size_t>(last)]) --last;
        columns.outcomes = {last};
        columns.last_is_outcome = true;
    }
    if (options.features.empty()) {
        choose_features(format, columns);
    } else {
        columns.features = find(options.features, "data.features");
        for (const Index j : columns.features)
            if (contains(columns.outcomes, j))
                throw InputError(fmt::format("{}: data.features: {} has the {}", source,
                                             column_with_name(format, j),
                                             columns.labels ? "labels" : "targets"));
    }
    if (columns.features.empty())
        throw InputError(
            fmt::format("{}: expected at least 2 columns (features, and labels or targets), got {} "
                        "(are they separated by commas, semicolons, tabs or blanks?)",
                        source, format.columns));
    return columns;
}

/// Reads the records of a table.
class TableReader {
  public:
    TableReader(const std::string& source, const DataOptions& options, const TextFormat& format,
                TableColumns columns)
        : options_(options),
          format_(format),
          columns_(std::move(columns)),
          cells_(source, format.names, format.separator, options.decimal) {
        raw_.source = source;
        raw_.feature_count = std::ssize(columns_.features);
        for (const Index j : columns_.numbering)
            numbering_.emplace_back(format.names.empty() ? "" : format.names[static_cast<std::size_t>(j)],
                                    format.header);
        for (Index j = 0; j < format.columns; ++j)
            if (format.empty[static_cast<std::size_t>(j)] && options.features.empty() &&
                !contains(columns_.outcomes, j))
                empty_.push_back(j);
    }

    /// Reserves memory for as many examples as the text has lines, but not for more cells than fit into it.
    void reserve(std::string_view text) {
        const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
        raw_.features.reserve(std::min(lines * columns_.features.size(), text.size() / 2 + 1));
    }

    /// Reads the example of a record, unless a value is missing.
    void add(std::vector<TextField>& fields, Index line) {
        while (std::ssize(fields) > format_.columns && fields.back().text.empty()) fields.pop_back();
        if (std::ssize(fields) != format_.columns)
            throw InputError(fmt::format("{}:{}: expected {} columns, got {}", raw_.source, line,
                                         format_.columns, fields.size()));
        for (const Index j : empty_)
            if (const std::string_view text = field(fields, j); !text.empty())
                throw InputError(fmt::format("{}: \"{}\" in a column that is empty in the lines before it",
                                             cells_.place(line, j), printable(text, 40)));
        const std::size_t features = raw_.features.size(), targets = targets_.size();
        if (read_features(fields, line) && read_outcomes(fields, line)) {
            lines_.push_back(line);
            return;
        }
        ++incomplete_;
        raw_.features.resize(features);
        targets_.resize(targets);
    }

    /// Returns the data; `comments`: lines left out because they are comments.
    RawData finish(Index comments);

  private:
    static std::string_view field(const std::vector<TextField>& fields, Index column) {
        return fields[static_cast<std::size_t>(column)].text;
    }
    bool read_features(const std::vector<TextField>& fields, Index line);
    bool read_outcomes(const std::vector<TextField>& fields, Index line);
    bool read_number(std::string_view text, Index line, Index column, const char* hint, double& value);
    void note_missing(std::string_view text, Index line, Index column);
    void require_complete() const;
    void leave_out_row_numbers();
    void set_outcomes_of_table();
    void describe(Index comments);

    const DataOptions& options_;
    const TextFormat& format_;
    TableColumns columns_;
    CellReader cells_;
    RawData raw_;
    std::vector<RowNumbers> numbering_;  // of columns_.numbering
    std::vector<Index> empty_;           // columns without content
    std::vector<std::string> labels_;
    std::vector<double> targets_;
    std::vector<Index> lines_;  // of the examples
    Index incomplete_ = 0;      // records with a missing value
    std::string first_missing_;
};

void TableReader::note_missing(std::string_view text, Index line, Index column) {
    if (!first_missing_.empty()) return;
    first_missing_ =
        fmt::format("{}: {}", cells_.place(line, column),
                    text.empty() ? "no value" : fmt::format("\"{}\" means a missing value", printable(text)));
}

bool TableReader::read_number(std::string_view text, Index line, Index column, const char* hint,
                              double& value) {
    if (format_.booleans[static_cast<std::size_t>(column)] && parse_boolean(text, value)) return true;
    if (cells_.read(text, line, column, hint, value)) return true;
    note_missing(text, line, column);
    return false;
}

bool TableReader::read_features(const std::vector<TextField>& fields, Index line) {
    bool complete = true;
    for (std::size_t i = 0; i < columns_.features.size(); ++i) {
        const Index j = columns_.features[i];
        double value = 0;
        const bool found = read_number(
            field(fields, j), line, j,
            "; data.labels makes a column class labels, data.features chooses the features", value);
        raw_.features.push_back(value);
        if (found && i < numbering_.size()) numbering_[i].add(value);
        complete = complete && found;
    }
    return complete;
}

bool TableReader::read_outcomes(const std::vector<TextField>& fields, Index line) {
    bool complete = true;
    for (const Index j : columns_.outcomes) {
        const std::string_view text = field(fields, j);
        if (columns_.labels) {
            complete = !is_missing(text);
            if (complete)
                labels_.emplace_back(text);
            else
                note_missing(text, line, j);
            continue;
        }
        double value = 0;
        complete = read_number(text, line, j,
                               ", as targets of a regression are; data.labels makes a column class labels, "
                               "data.targets chooses another one",
                               value) &&
                   complete;
        targets_.push_back(value);
    }
    return complete;
}

void TableReader::require_complete() const {
    if (incomplete_ > 0 && options_.missing == MissingValues::error)
        throw InputError(fmt::format(
            "{}{}; data.missing = \"drop\" leaves such lines out", first_missing_,
            incomplete_ > 1 ? fmt::format(", and {} more lines are incomplete", incomplete_ - 1) : ""));
    if (lines_.empty())
        throw InputError(incomplete_ > 0
                             ? fmt::format("{}: no examples: values are missing in all {} lines ({})",
                                           raw_.source, incomplete_, first_missing_)
                             : fmt::format("{}: no examples", raw_.source));
}

/// Removes the columns of features that number the rows.
void TableReader::leave_out_row_numbers() {
    std::vector<Index> removed;  // positions among the features
    for (std::size_t i = 0; i < numbering_.size(); ++i) {
        const Index j = columns_.numbering[i];
        const std::string name = column_with_name(format_, j);
        switch (numbering_[i].verdict()) {
            case RowNumbers::Verdict::feature:
                if (numbering_[i].looks_like_identifier())
                    columns_.notes.push_back(fmt::format(
                        "{} has a different integer in each line and is taken as a feature", name));
                break;
            case RowNumbers::Verdict::unclear:
                throw InputError(fmt::format(
                    "{}: {} has no name and no row numbers; name it, or choose the features by data.features",
                    raw_.source, name));
            case RowNumbers::Verdict::row_numbers:
                if (std::ssize(removed) + 1 == raw_.feature_count) {
                    if (format_.header && RowNumbers::is_unnamed(format_.names[static_cast<std::size_t>(j)]))
                        throw InputError(
                            fmt::format("{}: no features: {} numbers the rows", raw_.source, name));
                    break;
                }
                removed.push_back(static_cast<Index>(i));
                columns_.notes.push_back(fmt::format("{} numbers the rows: left out", name));
        }
    }
    if (removed.empty()) return;
    std::size_t kept = 0;
    const auto width = static_cast<std::size_t>(raw_.feature_count);
    for (std::size_t row = 0; row < raw_.features.size(); row += width)
        for (std::size_t i = 0; i < width; ++i)
            if (i >= numbering_.size() || !contains(removed, static_cast<Index>(i)))
                raw_.features[kept++] = raw_.features[row + i];
    raw_.features.resize(kept);
    for (auto position = removed.rbegin(); position != removed.rend(); ++position)
        columns_.features.erase(columns_.features.begin() + *position);
    raw_.feature_count = std::ssize(columns_.features);
}

void TableReader::set_outcomes_of_table() {
    const Place place = [&](Index row, Index column) {
        const Index j = columns_.outcomes[static_cast<std::size_t>(std::max<Index>(column, 0))];
        return cells_.place(lines_[static_cast<std::size_t>(row)], j) +
               (columns_.last_is_outcome ? ", the last" : "");
    };
    if (!columns_.labels) {
        set_targets(raw_, std::move(targets_), std::ssize(columns_.outcomes), place);
        return;
    }
    set_labels(raw_, labels_, place);
    std::vector<std::string>& labels = raw_.description.class_labels;
    bool numbers = labels.size() == format_.announced_classes.size();
    for (std::size_t i = 0; numbers && i < labels.size(); ++i) numbers = labels[i] == std::to_string(i);
    if (numbers) labels = format_.announced_classes;
}

void TableReader::describe(Index comments) {
    DataDescription& description = raw_.description;
    const auto names_of_columns = [&](const std::vector<Index>& columns) {
        std::vector<std::string> names;
        if (!format_.names.empty())
            for (const Index j : columns) names.push_back(format_.names[static_cast<std::size_t>(j)]);
        return names;
    };
    description.features = columns_text(columns_.features);
    description.feature_names = names_of_columns(columns_.features);
    description.outcomes = columns_text(columns_.outcomes) + (columns_.last_is_outcome ? ", the last" : "");
    description.target_names = names_of_columns(columns_.outcomes);
    std::vector<std::string>& notes = description.notes;
    notes = std::move(columns_.notes);
    if (format_.announced)
        notes.emplace_back(
            "first line read as scikit-learn's: numbers of examples and features, names of classes");
    const auto lines = [](Index count) { return fmt::format("{} {}", count, count == 1 ? "line" : "lines"); };
    if (incomplete_ > 0) notes.push_back(lines(incomplete_) + " with missing values left out");
    std::vector<Index> booleans;
    for (const std::vector<Index>* list : {&columns_.features, &columns_.outcomes})
        for (const Index j : *list)
            if (format_.booleans[static_cast<std::size_t>(j)] &&
                !(columns_.labels && list == &columns_.outcomes))
                booleans.push_back(j);
    if (!booleans.empty())
        notes.push_back(fmt::format("true and false of {} read as 1 and 0", columns_text(booleans)));
    if (cells_.has_decimal_commas()) notes.emplace_back("commas read as decimal marks");
    if (comments > 0) notes.push_back(lines(comments) + " of comments left out");
}

RawData TableReader::finish(Index comments) {
    require_complete();
    cells_.finish();
    raw_.examples = std::ssize(lines_);
    leave_out_row_numbers();
    set_outcomes_of_table();
    describe(comments);
    return std::move(raw_);
}

}  // namespace

RawData parse_text(std::string bytes, const std::string& source, const DataOptions& options) {
    std::vector<std::string> notes;
    std::string text = decode_text(std::move(bytes), source, notes);
    const TextFormat format = find_format(text, source, options);
    TableReader table(source, options, format, choose_columns(format, options, source));
    table.reserve(text);
    RecordReader records(text, source, format.separator);
    std::vector<TextField> fields;
    if (format.announced) records.next(fields);
    if (format.header) records.next(fields);
    Index count = 0;
    for (; records.next(fields); ++count) table.add(fields, records.line());
    if (format.announced && count != format.announced_examples)
        throw InputError(fmt::format("{}: the first line announces {} examples, got {}", source,
                                     format.announced_examples, count));
    RawData raw = table.finish(records.comments());
    raw.description.notes.insert(raw.description.notes.end(), notes.begin(), notes.end());
    return raw;
}

RawData load_text(const std::filesystem::path& path, const DataOptions& options) {
    return parse_text(read_plain_or_gzip(path), path.string(), options);
}

}  // namespace espectra
