// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>First-level context descriptor (Arm IHI 0070 5.3).</summary>
internal readonly struct ContextLink : ITableLink
{
    public static ulong Encode(ulong leaf) =>
        0UL.WithAddress(L1ContextDescriptor.L2Ptr, leaf).With(L1ContextDescriptor.V, 1);
}

/// <summary>First-level stream table descriptor (Arm IHI 0070 5.1).</summary>
internal readonly struct StreamLink : ITableLink
{
    public static ulong Encode(ulong leaf) =>
        0UL.WithAddress(L1StreamDescriptor.L2Ptr, leaf).With(L1StreamDescriptor.Span, StreamTable.Split + 1);
}
