#pragma once

#include "espectra/experiments/data/data_set.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace espectra {

/// The layout of a table in a text, found from its first records.
struct TextFormat {
    char separator = ',';  ///< RecordReader::blanks: runs of blanks and tabs
    Index columns = 0;     ///< fields of each record
    bool header = false;   ///< the first record has the names
    /// The first column of the records has no field in the header, as R writes the names of rows.
    bool row_names = false;
    std::vector<std::string> names;  ///< [columns], UTF-8, or empty
    std::vector<bool> empty;         ///< [columns] true for columns without any text
    std::vector<bool> words;         ///< [columns] true for columns with words that are not numbers
    std::vector<bool> booleans;      ///< [columns] true for columns of "true" and "false" alone

    /// The first record is that of scikit-learn's files: examples, features, labels of the classes.
    bool announced = false;
    Index announced_examples = 0;
    std::vector<std::string> announced_classes;  ///< may be empty
};

/// Finds the layout. `text` is UTF-8; a first line "sep=;" is overwritten by blanks. Throws InputError where
/// there is nothing to read, where a record has another number of fields, and where the first record may be a
/// header or an example: `options.header` decides then.
TextFormat find_format(std::string& text, const std::string& source, const DataOptions& options);

}  // namespace espectra
