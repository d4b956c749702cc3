// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

// An independent reading of the structures: shifts and masks by the specification's bit numbers, no code of the driver.

internal sealed record DecodedSte(
    bool Valid, int Config, int S1Fmt, ulong S1ContextPtr, int S1CDMax, int S1Dss,
    int S1Cir, int S1Cor, int S1Csh, int Eats)
{
    public static DecodedSte From(ReadOnlySpan<ulong> w) => new(
        (w[0] & 1) == 1,
        (int)(w[0] >> 1 & 7),
        (int)(w[0] >> 4 & 3),
        w[0] & 0x00FF_FFFF_FFFF_FFC0,
        (int)(w[0] >> 59),
        (int)(w[1] & 3),
        (int)(w[1] >> 2 & 3),
        (int)(w[1] >> 4 & 3),
        (int)(w[1] >> 6 & 3),
        (int)(w[1] >> 28 & 3));

    /// <summary>Whether nothing but the fields above is set.</summary>
    public static bool IsClean(ReadOnlySpan<ulong> w) =>
        (w[0] & 0x0700_0000_0000_0000) == 0 && (w[1] & ~0x3000_00FFUL) == 0 && w[2..8].IndexOfAnyExcept(0UL) < 0;
}

internal sealed record DecodedCd(
    bool Valid, int T0sz, int Tg0, int Ir0, int Or0, int Sh0, bool Epd0, bool Epd1, int Ips,
    bool Aa64, bool S, bool R, bool A,
    bool Aset, uint Asid, ulong Ttb0, ulong Mair)
{
    public static DecodedCd From(ReadOnlySpan<ulong> w) => new(
        (w[0] >> 31 & 1) == 1,
        (int)(w[0] & 0x3F),
        (int)(w[0] >> 6 & 3),
        (int)(w[0] >> 8 & 3),
        (int)(w[0] >> 10 & 3),
        (int)(w[0] >> 12 & 3),
        (w[0] >> 14 & 1) == 1,
        (w[0] >> 30 & 1) == 1,
        (int)(w[0] >> 32 & 7),
        (w[0] >> 41 & 1) == 1,
        (w[0] >> 44 & 1) == 1,
        (w[0] >> 45 & 1) == 1,
        (w[0] >> 46 & 1) == 1,
        (w[0] >> 47 & 1) == 1,
        (uint)(w[0] >> 48),
        w[1] & 0x00FF_FFFF_FFFF_FFF0,
        w[3]);

    /// <summary>Whether nothing but the fields above is set.</summary>
    public static bool IsClean(ReadOnlySpan<ulong> w) =>
        (w[0] & 0x0000_0DF8_3FFF_8000) == 0
        && (w[1] & ~0x00FF_FFFF_FFFF_FFF0UL) == 0
        && w[2] == 0
        && w[4..8].IndexOfAnyExcept(0UL) < 0;
}

/// <summary>A command as a person reads it from a dump.</summary>
internal sealed record DecodedCommand(int Opcode, uint Sid, uint Ssid, bool Ssv, uint Asid, ulong Address, ulong Low)
{
    public const int CfgiSte = 0x03;
    public const int CfgiSteRange = 0x04;
    public const int CfgiCd = 0x05;
    public const int CfgiCdAll = 0x06;
    public const int TlbiNhAsid = 0x11;
    public const int TlbiNhVa = 0x12;
    public const int TlbiNsnhAll = 0x30;
    public const int AtcInv = 0x40;
    public const int Sync = 0x46;

    public static DecodedCommand From(ulong w0, ulong w1) => new(
        (int)(w0 & 0xFF),
        (uint)(w0 >> 32),
        (uint)(w0 >> 12 & 0xFFFFF),
        (w0 >> 11 & 1) == 1,
        (uint)(w0 >> 48),
        w1 & ~0xFFFUL,
        w1 & 0xFFF);

    /// <summary>Pages [First, First + Count) that a TLB or device TLB invalidation names; everything is 2^52
    /// pages.</summary>
    public static (ulong First, ulong Count) Pages(ulong w0, ulong w1)
    {
        const ulong Everything = 1UL << 52;
        switch ((int)(w0 & 0xFF))
        {
            case TlbiNhAsid:
                return (0, Everything);
            case TlbiNhVa:
                bool isRange = (w1 >> 10 & 3) != 0;
                ulong count = isRange ? ((w0 >> 12 & 31) + 1) << (int)(w0 >> 20 & 31) : 1;
                return (w1 >> 12, count);
            case AtcInv:
                ulong pages = 1UL << (int)(w1 & 0x3F);
                Assert.Equal(0UL, (w1 >> 12) % pages);
                return (w1 >> 12, pages);
            default:
                throw new ArgumentOutOfRangeException(nameof(w0));
        }
    }

    public override string ToString() => Opcode switch
    {
        CfgiSte => $"CFGI_STE {Sid:x} leaf={Low & 1}",
        CfgiSteRange => (Low & 31) == 31 ? "CFGI_ALL" : $"CFGI_STE_RANGE {Sid:x}",
        CfgiCd => $"CFGI_CD {Sid:x}/{Ssid:x} leaf={Low & 1}",
        CfgiCdAll => $"CFGI_CD_ALL {Sid:x}",
        TlbiNhAsid => $"TLBI_NH_ASID {Asid:x}",
        TlbiNhVa => $"TLBI_NH_VA {Asid:x}",
        TlbiNsnhAll => "TLBI_NSNH_ALL",
        AtcInv => Ssv ? $"ATC_INV {Sid:x}/{Ssid:x} size={Low & 0x3F}" : $"ATC_INV {Sid:x} size={Low & 0x3F}",
        Sync => "SYNC",
        _ => $"op{Opcode:x2}",
    };
}
