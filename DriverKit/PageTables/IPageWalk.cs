// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>One architecture's rules over <see cref="PageWalker"/>: where entries come from and what follows from each.
/// It keeps the result.</summary>
public interface IPageWalk
{
    /// <summary>Reads an entry from memory, a cache or a recorder.</summary>
    /// <returns>False where the walk ends because the entry cannot be read.</returns>
    bool Read(in WalkStep step, out ulong entry);

    /// <summary>Judges an entry that was read.</summary>
    /// <param name="step">Where it is.</param>
    /// <param name="entry">The entry; what is left in it (accessed flags) is where the walk goes on.</param>
    /// <param name="kind">What it is by its format.</param>
    /// <param name="rights">What all entries so far grant, this one included; what is left in it holds below.</param>
    WalkNext Visit(in WalkStep step, ref ulong entry, EntryKind kind, ref PageRights rights);
}
