#pragma once

#include "espectra/kernels/group/group.hpp"

#include <cmath>
#include <type_traits>

// Matrix products C = A·B by tiles of 64 × 64, one block each, as in the tutorials of CUTLASS and CuTe: slabs
// of depth 16 are loaded to shared memory in two buffers, the next one while one is multiplied. A and B are
// functions of their indices, so that Khatri–Rao factors are formed while a slab is loaded and never stored.
// A function also takes the elements of C.

namespace espectra::group {

inline constexpr int tile = 64;        // rows and columns of a tile of C
inline constexpr int tile_depth = 16;  // inner indices per slab
/// Distance of a slab's rows: 4 modulo 16, so that sixteen threads that read 4 × 4 neighbours, as for
/// fragments of tensor cores, access sixteen different banks.
inline constexpr int tile_stride = 68;
inline constexpr int slab = tile_depth * tile_stride;
inline constexpr std::size_t tile_doubles = 4 * slab;
static_assert(tile * tile_stride <= static_cast<int>(tile_doubles));  // C passes through the same memory

/// Accumulators of `Items` threads: registers on a device, where the group has as many threads, else an
/// array.
template <class T, int Items>
class PerItem {
  public:
    template <class G, class Body>
    ESPECTRA_HD void for_each(const G& group, Body&& body) {
#ifdef __CUDA_ARCH__
        body(group.rank(), values_[0]);
#else
        for (int item = group.rank(), at = 0; item < Items; item += group.size(), ++at)
            body(item, values_[at]);
#endif
    }

  private:
#ifdef __CUDA_ARCH__
    T values_[1] = {};
#else
    T values_[Items] = {};
#endif
};

/// Plain fused multiply-adds: each thread holds 4 × 4 elements of C, 16 apart.
struct FmaCore {
    static constexpr int threads = 256, blocks_per_multiprocessor = 2;
    struct Accumulator {
        double c[4][4];
    };

    template <class G>
    ESPECTRA_HD static void multiply(const G& /*group*/, int item, const double* a, const double* b,
                                     Accumulator& sum) {
        const int row = item / 16, column = item % 16;
        for (int k = 0; k < tile_depth; ++k) {
            double x[4], y[4];
            for (int i = 0; i < 4; ++i) x[i] = a[k * tile_stride + row + 16 * i];
            for (int j = 0; j < 4; ++j) y[j] = b[k * tile_stride + column + 16 * j];
            for (int i = 0; i < 4; ++i)
                for (int j = 0; j < 4; ++j) sum.c[i][j] = std::fma(x[i], y[j], sum.c[i][j]);
        }
    }
    ESPECTRA_HD static void put(int item, const Accumulator& sum, double* c) {
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                c[(item / 16 + 16 * i) * tile_stride + item % 16 + 16 * j] = sum.c[i][j];
    }
};

/// FP64 tensor cores (mma.m16n8k4, or two m8n8k4 on sm_80): each of four warps holds a quarter of C, 2 × 4
/// fragments of 16 × 8.
struct TensorCore {
    static constexpr int threads = 128, blocks_per_multiprocessor = 3;
    struct Accumulator {
        double c[2][4][4];
    };

    /// For groups of whole warps.
    template <class G>
    ESPECTRA_HD static void multiply(const G& group, int item, const double* a, const double* b,
                                     Accumulator& sum) requires requires(double (&c)[4]) {
        group.multiply_accumulate(c, 0.0, 0.0, 0.0);
    }
    {
        const int lane = item % 32, row = item / 64 * 32 + lane / 4, column = item / 32 % 2 * 32 + lane / 4;
        for (int k = 0; k < tile_depth; k += 4) {
            const double* x = a + (k + lane % 4) * tile_stride + row;
            const double* y = b + (k + lane % 4) * tile_stride + column;
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 4; ++j)
                    group.multiply_accumulate(sum.c[i][j], x[16 * i], x[16 * i + 8], y[8 * j]);
        }
    }
    ESPECTRA_HD static void put(int item, const Accumulator& sum, double* c) {
        const int lane = item % 32, row = item / 64 * 32 + lane / 4,
                  column = item / 32 % 2 * 32 + lane % 4 * 2;
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 4; ++j)
                for (int part = 0; part < 4; ++part)
                    c[(row + 16 * i + part / 2 * 8) * tile_stride + column + 8 * j + part % 2] =
                        sum.c[i][j][part];
    }
};

/// Loads a slab of A or B: [16, 64] with the inner index first, zero beyond its limits. Neighbouring threads
/// take neighbours in memory: 4 × 4 elements if the inner index is the contiguous one, else rows of 64.
template <bool InnerContiguous, Group G, class Element>
ESPECTRA_HD void load_slab(const G& group, double* memory, Index inner_left, Index outer_left,
                           Element&& element) {
    for (int item = group.rank(); item < tile * tile_depth; item += group.size()) {
        const int k = InnerContiguous ? item % 4 + item / 16 % 4 * 4 : item / tile;
        const int outer = InnerContiguous ? item / 4 % 4 + item / 64 * 4 : item % tile;
        memory[k * tile_stride + outer] = k < inner_left && outer < outer_left ? element(outer, k) : 0.0;
    }
}

/// Computes `rows` × `columns` elements of one tile of C. `depth` is the inner extent; a(row, k) and b(k,
/// column) are the elements of A and B, counted from the tile's corner; store(row, column, value) is called
/// once for each element of C, with neighbouring threads on neighbouring columns. `shared` holds
/// tile_doubles.
template <class Core, bool AInner, bool BInner, Group G, class A, class B, class Store>
ESPECTRA_HD void multiply_tile(const G& group, double* shared, Index rows, Index columns, Index depth,
                               const A& a, const B& b, const Store& store) {
    PerItem<typename Core::Accumulator, Core::threads> sums;
    const auto load = [&](Index k, int buffer) {
        load_slab<AInner>(group, shared + 2 * buffer * slab, depth - k, rows,
                          [&](int row, int inner) { return a(row, k + inner); });
        load_slab<BInner>(group, shared + (2 * buffer + 1) * slab, depth - k, columns,
                          [&](int column, int inner) { return b(k + inner, column); });
    };
    load(0, 0);
    group.sync();
    int buffer = 0;
    for (Index k = 0; k < depth; k += tile_depth, buffer ^= 1) {
        if (k + tile_depth < depth) load(k + tile_depth, buffer ^ 1);
        const double* x = shared + 2 * buffer * slab;
        sums.for_each(group, [&](int item, typename Core::Accumulator& sum) {
            Core::multiply(group, item, x, x + slab, sum);
        });
        group.sync();
    }
    sums.for_each(group,
                  [&](int item, const typename Core::Accumulator& sum) { Core::put(item, sum, shared); });
    group.sync();
    for (int item = group.rank(); item < tile * tile; item += group.size()) {
        const int row = item / tile, column = item % tile;
        if (row < rows && column < columns) store(row, column, shared[row * tile_stride + column]);
    }
}

/// A batch of products by tiles. Product has
///   static constexpr const char* name;
///   static constexpr bool a_inner, b_inner;        the inner index is the contiguous one
///   Index batches(), rows(), columns(), depth();   of the matrices
///   static constexpr std::size_t table_doubles;    shared memory that tile() fills
///   tile(group, table, batch, row, column);        a, b and store of the tile that begins at (row, column)
template <class Core, class Product>
struct ProductKernel {
    static constexpr const char* name = Product::name;
    static constexpr int threads = Core::threads, blocks_per_multiprocessor = Core::blocks_per_multiprocessor;
    Product product;

    Index blocks() const {
        if (product.depth() == 0) return 0;
        return product.batches() * divide_up(product.rows(), tile) * divide_up(product.columns(), tile);
    }
    std::size_t shared_doubles() const { return tile_doubles + Product::table_doubles; }

    template <Group G>
    ESPECTRA_HD void operator()(const G& group, Index block, double* shared) const
        requires(std::is_same_v<Core, FmaCore> || !std::is_same_v<G, SerialGroup>) {
        const Index column_tiles = divide_up(product.columns(), tile),
                    row_tiles = divide_up(product.rows(), tile);
        const Index column = block % column_tiles * tile, row = block / column_tiles % row_tiles * tile;
        const auto part =
            product.tile(group, shared + tile_doubles, block / column_tiles / row_tiles, row, column);
        Index depth = product.depth();
        if constexpr (requires { part.depth; }) depth = part.depth;
        multiply_tile<Core, Product::a_inner, Product::b_inner>(
            group, shared, product.rows() - row, product.columns() - column, depth,
            [&](int i, Index k) { return part.a(i, k); }, [&](Index k, int j) { return part.b(k, j); },
            [&](int i, int j, double value) { part.store(i, j, value); });
    }
};

/// Launches a batch of products, on tensor cores if tensor_cores(context).
template <class C, class Product>
void multiply(C& context, const Product& product) {
    if (tensor_cores(context))
        launch(context, ProductKernel<TensorCore, Product>{product});
    else
        launch(context, ProductKernel<FmaCore, Product>{product});
}

}  // namespace espectra::group
