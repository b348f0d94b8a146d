// The keys of a recipe and the page that describes them.

#include "espectra/experiments/recipe/recipe_keys.hpp"

#include "espectra/experiments/recipe/experiment.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.hpp"
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace espectra {
namespace {

/// The text of docs/recipes.md.
std::string page() {
    const std::string text = test::read_bytes(std::filesystem::path(ESPECTRA_SOURCE) / "docs" / "recipes.md");
    EXPECT_NE(text, "");
    return text;
}

TEST(RecipeKeys, HaveTheirRowsOnThePageInTheirOrder) {
    const std::string text = page();
    std::size_t place = 0;
    for (const RecipeKey& key : recipe_keys()) {
        const std::string row = fmt::format("\n| `{}` | {} | {} | ", key.name, key.type, key.default_value);
        const std::size_t found = text.find(row, place);
        EXPECT_NE(found, std::string::npos) << "docs/recipes.md lacks, or has elsewhere:" << row;
        if (found != std::string::npos) place = found;
    }
}

TEST(RecipeKeys, AreAllThatThePageHas) {
    std::set<std::string> known;
    for (const RecipeKey& key : recipe_keys()) EXPECT_TRUE(known.insert(key.name).second) << key.name;
    const std::string text = page(), begin = "\n| `";
    std::size_t rows = 0;
    for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos; ++rows) {
        at += begin.size();
        const std::string name = text.substr(at, text.find('`', at) - at);
        EXPECT_TRUE(known.contains(name)) << name;
    }
    EXPECT_EQ(rows, known.size());
}

template <class E>
void expect_aliases(const std::string& text) {
    for (const E value : all_values<E>)
        for (const std::string_view alias : names_of(value).aliases)
            EXPECT_TRUE(alias.empty() || text.find(fmt::format("`{}`", alias)) != std::string::npos) << alias;
}

TEST(RecipeKeys, AliasesAreOnThePage) {
    expect_aliases<Activation>(page());
    expect_aliases<Loss>(page());
    expect_aliases<WeightDistribution>(page());
}

TEST(RecipeKeys, CompleteRecipeOfThePageHasTheDefaults) {
    const std::string text = page(), open = "```toml\n";
    const std::size_t section = text.find("## A complete recipe");
    ASSERT_NE(section, std::string::npos);
    const std::size_t begin = text.find(open, section) + open.size();
    const std::string recipe = text.substr(begin, text.find("```", begin) - begin);
    const test::TemporaryFolder folder;
    const Experiment experiment = load_experiment(folder.write("r.toml", recipe), {});
    EXPECT_EQ(experiment.combinations.at(0).recipe, Recipe{});
    for (const RecipeKey& key : recipe_keys())
        if (key.default_value != "none") {  // which cannot be written down
            const std::string last = key.name.substr(key.name.rfind('.') + 1);
            EXPECT_NE(recipe.find(last + " = "), std::string::npos) << key.name;
        }
}

TEST(RecipeKeys, RangesInWordsAndSymbols) {
    EXPECT_EQ(IntegerRange{1}.in_words(), "of at least 1");
    EXPECT_EQ(IntegerRange{1}.in_symbols(), "≥ 1");
    EXPECT_EQ((IntegerRange{1, 9}.in_words()), "from 1 to 9");
    EXPECT_FALSE((IntegerRange{1, 9}.contains(10)));
    constexpr NumberRange above = {.low = 0}, half_open = {.low = 0, .high = 1, .with_low = true};
    EXPECT_EQ(above.in_words(), "number above 0");
    EXPECT_EQ(above.in_symbols(), "number > 0");
    EXPECT_FALSE(above.contains(0));
    EXPECT_EQ(half_open.in_words(), "number in [0, 1)");
    EXPECT_TRUE(half_open.contains(0));
    EXPECT_FALSE(half_open.contains(1));
    EXPECT_EQ(NumberRange{}.in_words(), "number");
}

}  // namespace
}  // namespace espectra
