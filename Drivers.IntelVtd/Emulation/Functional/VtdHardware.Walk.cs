// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>The walk from root table to PASID entry. Sections 9.2 to 9.6.</content>
internal partial class VtdHardware : IWalkSource
{
    /// <summary>What the hardware accepts in each structure.</summary>
    protected WalkRules Rules { get; }

    /// <summary>The root table address that SRTP latched.</summary>
    protected ulong RootTable => Volatile.Read(ref _latchedRtaddr);

    bool IWalkSource.Read(in WalkPoint point, Span<ulong> words) => ReadWords(point.Address, words);

    void IWalkSource.Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault)
    {
        // Nothing is cached here.
    }

    // Page tables are not walked here.
    bool IWalkSource.Update(in WalkPoint point, ulong expected, ulong entry) => true;

    /// <summary>Reads words as the table walker sees them.</summary>
    /// <returns>False where no memory is; the words are 0 then.</returns>
    protected bool ReadWords(ulong address, Span<ulong> words) => WalkerMemory.TryReadWords(address, words);
}
