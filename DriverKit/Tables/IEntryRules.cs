// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

/// <summary>Which bits of an entry the hardware uses, as the entry's own contents say.</summary>
public interface IEntryRules
{
    /// <summary>Marks the bits that count in an entry.</summary>
    /// <param name="entry">Its words.</param>
    /// <param name="used">As many words, all 0; a bit is set where the entry's bit counts.</param>
    static abstract void Used(ReadOnlySpan<ulong> entry, Span<ulong> used);

    /// <summary>Marks the bits that may change at any moment without harm although they count.</summary>
    /// <param name="current">The entry as it is.</param>
    /// <param name="target">The entry as it is to be.</param>
    /// <param name="safe">As many words, all 0.</param>
    static abstract void Safe(ReadOnlySpan<ulong> current, ReadOnlySpan<ulong> target, Span<ulong> safe);
}
