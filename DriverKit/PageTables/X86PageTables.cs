// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.PageTables;

/// <summary>
/// The page tables of x86-64 CPUs, which the first stage of VT-d walks (D51397-018 rev 5.10, section 9.7): pages of
/// 4 KiB, 2 MiB and 1 GiB. Accessed and dirty flags are set beforehand: hardware never has to write to a table.
/// </summary>
public static class X86PageTables
{
    public static RadixFormat FourLevel { get; } = Make("x86-64", 4);
    public static RadixFormat FiveLevel { get; } = Make("x86-64-5level", 5);

    private static RadixFormat Make(string name, int levels)
    {
        ulong page = X86Entry.P.WordMask | X86Entry.US.WordMask | X86Entry.A.WordMask;
        var rights = new RightsRule(Write: X86Entry.RW.WordMask, User: X86Entry.US.WordMask);
        return new()
        {
            Name = name,
            Levels = levels,
            AddressBits = 11 + (9 * levels), // the lower canonical half
            AddressMask = X86Entry.ADDR.WordMask,
            PresentBits = X86Entry.P.WordMask,
            PageBits = X86Entry.P.WordMask,
            BlockBits = X86Entry.PS.WordMask,
            TableRights = rights,
            LeafRights = rights,
            TableValue = page | X86Entry.RW.WordMask,
            PageValue = page,
            BlockValue = page | X86Entry.PS.WordMask,
            WritableValue = X86Entry.RW.WordMask | X86Entry.D.WordMask,
        };
    }
}
