#pragma once

#include "espectra/runtime/view.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// Returns the bytes of a text file as UTF-8 without a byte-order mark; `notes` gets a phrase for a
/// conversion from UTF-16 or Windows-1252. `source` names the file in errors: InputError for archives and
/// other files that are not text.
std::string decode_text(std::string bytes, const std::string& source, std::vector<std::string>& notes);

/// A field of a record, without the blanks and quotes around it.
struct TextField {
    std::string_view text;
    bool quoted = false;
};

/// Reads the records of separated text, one after another: lines that end with \n, \r\n or \r, with quoted
/// fields as in RFC 4180, which may contain separators and line ends. Blank lines, lines of empty fields and
/// lines that begin with # or % are left out.
class RecordReader {
  public:
    /// Separates fields by runs of blanks and tabs; any other separator is the character itself.
    static constexpr char blanks = ' ';

    /// `text` is UTF-8; `source` names it in errors.
    RecordReader(std::string_view text, const std::string& source, char separator);

    /// Reads the fields of the next record, which are valid until the next call; returns false after the last
    /// one. Throws InputError "<source>:<line>: …" for a quote that is not closed.
    bool next(std::vector<TextField>& fields);

    /// Line of the beginning of the record, from 1.
    Index line() const { return line_; }
    /// The last comment before the record, without # and blanks, if no other record came between them.
    std::string_view comment() const { return comment_; }
    /// Number of comment lines so far.
    Index comments() const { return comments_; }

  private:
    std::string_view take_line();
    void skip_blanks();
    void take_field(std::vector<TextField>& fields);
    void take_quoted(std::vector<TextField>& fields);
    void take_line_end();

    std::string_view rest_;
    const std::string& source_;
    char separator_;
    bool ends_field_[256] = {};
    Index line_ = 0, next_line_ = 1;
    std::string_view comment_;
    Index comments_ = 0;
    std::deque<std::string> unescaped_;  // quoted fields of the record that had quotes in them
};

}  // namespace espectra
