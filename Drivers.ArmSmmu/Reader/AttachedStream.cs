// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Reader;

/// <summary>A stream table entry that is in no stream table, such as one of an attach request.</summary>
/// <param name="Stream">Whose it is; null for every stream's.</param>
internal sealed record AttachedStream(RequesterId? Stream, ulong[] Entry)
{
    /// <summary>A walker that finds this entry for its stream.</summary>
    internal sealed class Walker(IMemoryReader memory, SmmuHardwareOptions options, AttachedStream attached)
        : SmmuWalker(memory, options)
    {
        protected override SmmuFault ReadStreamEntry(uint sid, in StreamRoot root, Span<ulong> ste)
        {
            if (attached.Stream is { } owner && owner.Value != sid)
            {
                return new SmmuFault(SmmuEvent.C_BAD_STREAMID,
                    $"this is the table of {owner}, not of {new RequesterId(sid)}");
            }

            attached.Entry.CopyTo(ste);
            return SmmuRules.CheckStreamEntry(Options, ste);
        }
    }
}
