// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>Which field is to blame for a fault, where the layout alone does not say it.</content>
internal sealed partial class WalkRules
{
    /// <summary>The field of a context entry that is wrong; null where no field alone is.</summary>
    public string? ContextField(ReadOnlySpan<ulong> words)
    {
        if ((words.GetAddress(ContextEntry.PASIDDIRPTR) & AboveHostAddresses) != 0)
        {
            return ContextEntry.PASIDDIRPTR.Mnemonic;
        }

        return Needing(s_contextNeeds, words)
            ?? (words.Get(ContextEntry.PRE) == 1 && words.Get(ContextEntry.DTE) == 0 ? ContextEntry.PRE.Mnemonic
                : words.Get(ContextEntry.EPTR) == 1 && words.Get(ContextEntry.PASIDE) == 0 ? ContextEntry.EPTR.Mnemonic
                : words.Get(ContextEntry.RID_PASID) >> PasidBitsOf(words) != 0 ? ContextEntry.RID_PASID.Mnemonic
                : null);
    }

    /// <summary>The field of a PASID entry that is wrong; null where no field alone is.</summary>
    public string? EntryField(ReadOnlySpan<ulong> words)
    {
        if (words.Get(PasidEntry.DID) >> DomainIdBits != 0)
        {
            return PasidEntry.DID.Mnemonic;
        }

        ulong type = words.Get(PasidEntry.PGTT);
        bool first = type is PasidEntry.FirstStage or PasidEntry.Nested;
        bool second = type is PasidEntry.SecondStage or PasidEntry.Nested;
        ulong tables = words.GetAddress(PasidEntry.FSPTPTR);
        bool beyond = type == PasidEntry.Nested ? tables >> GuestBits(words) != 0 : (tables & AboveHostAddresses) != 0;
        return Needing(s_entryNeeds, words)
            ?? (!IsTypeSupported(type) ? PasidEntry.PGTT.Mnemonic
                : second && !IsWidthSupported(words.Get(PasidEntry.AW)) ? PasidEntry.AW.Mnemonic
                : first && !IsModeSupported(words.Get(PasidEntry.FSPM)) ? PasidEntry.FSPM.Mnemonic
                : first && beyond ? PasidEntry.FSPTPTR.Mnemonic
                : second && (words.GetAddress(PasidEntry.SSPTPTR) & AboveHostAddresses) != 0
                    ? PasidEntry.SSPTPTR.Mnemonic
                    : null);
    }

    private string? Needing((Field Capability, Field Field)[] needs, ReadOnlySpan<ulong> words)
    {
        foreach ((Field capability, Field field) in needs)
        {
            if (Unless(capability, words.Get(field)) != 0)
            {
                return field.Mnemonic;
            }
        }

        return null;
    }
}
