// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.DriverKit.PageTables;

/// <summary>Which bits of an entry grant a right: all of its mask, those of <paramref name="Inverted"/> by being 0. A
/// right whose mask is 0 is always granted.</summary>
public readonly record struct RightsRule(ulong Read = 0, ulong Write = 0, ulong User = 0, ulong Inverted = 0)
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public PageRights Of(ulong entry)
    {
        ulong absent = ~(entry ^ Inverted);
        return ((absent & Read) == 0 ? PageRights.Read : 0)
            | ((absent & Write) == 0 ? PageRights.Write : 0)
            | ((absent & User) == 0 ? PageRights.User : 0);
    }
}
