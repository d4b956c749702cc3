// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Virtual command register (0xE00), present with ECAP.VCS. Intel VT-d, D51397-018 (rev 5.10), section 11.4.45 and
/// following.
/// </summary>
internal static class VirtualCommand
{
    public const ulong Null = 0;
    public const ulong AllocatePasid = 1;
    public const ulong FreePasid = 2;

    public static readonly Layout Layout = new(
        "intel-vtd/vcmd", 64,
        "Intel VT-d D51397-018 (rev 5.10), section 11.4.45 and following, Virtual Command Register", [
            Value(CMD, (Null, "null"), (AllocatePasid, "allocate PASID"), (FreePasid, "free PASID")),
            Reserved(15, 8), PASID, Reserved(63, 36),
        ], CheckCommand);

    public static Field CMD => new(7, 0, "CMD", "command");
    public static Field PASID => new(35, 16, "PASID", "the PASID that is freed");

    private static void CheckCommand(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        if (words.Get(CMD) > FreePasid)
        {
            found.Add(CMD, $"is {words.Get(CMD)}, an undefined command (0 null, 1 allocate PASID, 2 free PASID)");
        }
    }
}

/// <summary>Virtual command response register (0xE10); same source as <see cref="VirtualCommand"/>.</summary>
internal static class VirtualCommandResponse
{
    public const ulong Success = 0;
    public const ulong UndefinedCommand = 1;
    public const ulong NoPasid = 16;

    public static readonly Layout Layout = new(
        "intel-vtd/vcrsp", 64,
        "Intel VT-d D51397-018 (rev 5.10), section 11.4.45 and following, Virtual Command Response Register", [
            IP,
            Value(
                SC, (Success, "success"), (UndefinedCommand, "undefined command"),
                (NoPasid, "no PASID available, or invalid PASID")),
            Reserved(15, 8), PASID, Reserved(63, 36),
        ], CheckStatus);

    public static Field IP => new(0, 0, "IP", "the command is in progress; the rest is not valid yet");
    public static Field SC => new(7, 1, "SC", "status");
    public static Field PASID => new(35, 16, "PASID", "the PASID that was allocated");

    private static void CheckStatus(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong status = words.Get(SC);
        if (words.Get(IP) == 0 && status is not (Success or UndefinedCommand or NoPasid))
        {
            found.Add(SC, $"is {status}, an undefined status (0, 1 and 16 are defined)");
        }
    }
}
