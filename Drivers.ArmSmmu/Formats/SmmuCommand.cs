// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>One entry of the command queue: 128 bits, little-endian (Arm IHI 0070 4.1).</summary>
/// <param name="Word0">Bits 63:0; the opcode is bits 7:0.</param>
/// <param name="Word1">Bits 127:64.</param>
internal readonly record struct SmmuCommand(ulong Word0, ulong Word1)
{
    public const int BytesLog2 = 4;
    public const int Bytes = 1 << BytesLog2;
    public const int Words = Bytes / sizeof(ulong);
    public SmmuOpcode Opcode => (SmmuOpcode)(byte)Word0;

    public void CopyTo(Span<ulong> words)
    {
        words[0] = Word0;
        words[1] = Word1;
    }

    public override string ToString() => $"{Opcode} {Word0:x16} {Word1:x16}";
}

/// <summary>Opcodes of the command queue by their specification names without <c>CMD_</c> (Arm IHI 0070
/// 4.1.2).</summary>
internal enum SmmuOpcode : byte
{
    PREFETCH_CFG = 0x01,
    CFGI_STE = 0x03,
    CFGI_STE_RANGE = 0x04,
    CFGI_CD = 0x05,
    CFGI_CD_ALL = 0x06,
    TLBI_NH_ALL = 0x10,
    TLBI_NH_ASID = 0x11,
    TLBI_NH_VA = 0x12,
    TLBI_NH_VAA = 0x13,
    TLBI_EL2_ALL = 0x20,
    TLBI_EL2_ASID = 0x21,
    TLBI_EL2_VA = 0x22,
    TLBI_EL2_VAA = 0x23,
    TLBI_S12_VMALL = 0x28,
    TLBI_S2_IPA = 0x2A,
    TLBI_NSNH_ALL = 0x30,
    ATC_INV = 0x40,
    PRI_RESP = 0x41,
    RESUME = 0x44,
    STALL_TERM = 0x45,
    SYNC = 0x46,
}
