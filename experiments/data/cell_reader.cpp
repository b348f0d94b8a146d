#include "espectra/experiments/data/cell_reader.hpp"

#include "espectra/experiments/files/utf8.hpp"
#include "espectra/runtime/error.hpp"

#include <fmt/format.h>

namespace espectra {

CellReader::CellReader(const std::string& source, const std::vector<std::string>& names, char separator,
                       DecimalMark decimal)
    : source_(source),
      names_(names),
      decimal_(decimal),
      commas_allowed_(decimal == DecimalMark::comma ||
                      (decimal == DecimalMark::automatic && separator != ',')),
      watches_points_(commas_allowed_) {}

std::string CellReader::place(Index line, Index column) const {
    const std::string where = fmt::format("{}:{}: column {}", source_, line, column + 1);
    const auto name = static_cast<std::size_t>(column);
    if (name >= names_.size() || names_[name].empty()) return where;
    return fmt::format("{} ({})", where, printable(names_[name], 40));
}

std::string CellReader::cell_text(const Cell& cell) const {
    return fmt::format("{}: {}", place(cell.line, cell.column), printable(cell.text, 40));
}

void CellReader::fail_word(std::string_view text, Index line, Index column, const char* hint) const {
    std::string plain(text);
    std::erase(plain, ',');
    double ignored = 0;
    const bool comma = plain.size() < text.size() && parse_number(plain, ignored) == NumberText::number;
    throw InputError(fmt::format("{}: \"{}\" is not a number{}", place(line, column), printable(text, 40),
                                 comma ? ": a decimal comma needs data.decimal = \"comma\", and separated "
                                         "thousands are not read"
                                       : hint));
}

bool CellReader::read_with_care(std::string_view text, Index line, Index column, const char* hint,
                                NumberText kind, double& value) {
    if (kind == NumberText::word && commas_allowed_) {
        kind = parse_decimal_comma(text, value);
        if (kind != NumberText::word) {
            if (comma_.line == 0) comma_ = {line, column, std::string(text)};
            only_thousands_ = only_thousands_ && may_have_thousands(text);
            if (point_.line > 0)
                throw InputError(fmt::format("{} has a decimal comma, but {} a decimal point",
                                             cell_text({line, column, std::string(text)}),
                                             cell_text(point_)));
        }
    } else if (kind == NumberText::number && watches_points_ && text.find('.') != std::string_view::npos) {
        point_ = {line, column, std::string(text)};
        watches_points_ = false;
        if (decimal_ == DecimalMark::comma)
            throw InputError(
                fmt::format("{} has a decimal point, but data.decimal is \"comma\"", cell_text(point_)));
        if (comma_.line > 0)
            throw InputError(fmt::format("{} has a decimal point, but {} a decimal comma", cell_text(point_),
                                         cell_text(comma_)));
    }
    if (kind == NumberText::word || std::isnan(value)) {
        if (is_missing(text)) return false;
        fail_word(text, line, column, hint);
    }
    if (kind == NumberText::out_of_range || !std::isfinite(value))
        throw InputError(
            fmt::format("{}: {} is not a finite number", place(line, column), printable(text, 40)));
    return true;
}

void CellReader::finish() const {
    if (comma_.line > 0 && only_thousands_ && decimal_ == DecimalMark::automatic)
        throw InputError(
            fmt::format("{}: the comma may be a decimal mark or separate thousands, as in the "
                        "other numbers; data.decimal = \"comma\" makes it a decimal mark",
                        cell_text(comma_)));
}

}  // namespace espectra
