// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, chapter 4 "Commands": 128 bits each, opcode in bits 7:0. SSec (bit 10) is 0 on
// the Non-secure queue and therefore declared as reserved.
using System.Runtime.CompilerServices;

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>The commands: their fields, encoders and layouts.</summary>
internal static partial class Commands
{
    private const string Source = "Arm IHI 0070 4.";
    public static Field Opcode => new(7, 0, "Opcode", "what the command is");

    public static Field Global => new(9, 9, "Global", "every PASID of the StreamID");
    public static Field SSV => new(11, 11, "SSV");

    public static Field SSID => new(31, 12, "SSID", "SubstreamID (PASID)");
    public static Field SID => new(63, 32, "SID", "StreamID");
    public static Field Leaf => new(64, 64, "Leaf");
    public static IReadOnlyList<Layout> All { get; } = Build();

    // By opcode: whether there is such a command, and which of its bits must be 0.
    private static readonly (bool Exists, ulong Word0, ulong Word1)[] s_reserved = BuildReserved();

    /// <summary>
    /// Whether the hardware accepts a command: a known opcode, reserved bits 0, no forbidden combination (4.1.3:
    /// otherwise CERROR_ILL). The same checks as <see cref="Layout.Check"/>, without allocating.
    /// </summary>
    /// <param name="hasRange">IDR3.RIL: without it the range fields are reserved.</param>
    public static bool IsLegal(SmmuCommand command, bool hasRange)
    {
        (bool exists, ulong word0, ulong word1) = s_reserved[(byte)command.Word0];
        if (!exists || ((command.Word0 & word0) | (command.Word1 & word1)) != 0)
        {
            return false;
        }

        ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
        return command.Opcode switch
        {
            SmmuOpcode.TLBI_NH_VA or SmmuOpcode.TLBI_NH_VAA or SmmuOpcode.TLBI_EL2_VA or SmmuOpcode.TLBI_EL2_VAA
                or SmmuOpcode.TLBI_S2_IPA => IsRangeLegal(words) && (hasRange || !UsesRange(words)),
            SmmuOpcode.ATC_INV => words.Get(AtcSize) <= AtcSizeAll,
            SmmuOpcode.PRI_RESP => words.Get(PriResp) != 3,
            SmmuOpcode.RESUME => words.Get(ResumeResp) != 3,
            SmmuOpcode.SYNC => words.Get(CS) != 3,
            _ => true,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Put(Field field, ulong value)
    {
        System.Diagnostics.Debug.Assert((value & ~field.ValueMask) == 0, "the value does not fit its field");
        return (value & field.ValueMask) << field.Shift;
    }

    private static Layout Declare(
        string name, SmmuOpcode opcode, string section, LayoutField[] fields, params LayoutRule[] rules) => new(
            $"arm-smmuv3/cmd_{name}", 128, Source + section, [Fixed(Opcode, (ulong)opcode), .. fields], rules);

    private static Layout[] Build() =>
        [.. ConfigurationLayouts(), .. TlbLayouts(), .. DeviceLayouts(), .. QueueLayouts()];

    private static (bool Exists, ulong Word0, ulong Word1)[] BuildReserved()
    {
        var reserved = new (bool Exists, ulong Word0, ulong Word1)[256];
        foreach (Layout layout in All)
        {
            ulong[] words = new ulong[2];
            int opcode = 0;
            foreach (LayoutField field in layout.Fields)
            {
                if (field.Kind == FieldKind.Reserved)
                {
                    foreach (Field part in field.Parts)
                    {
                        words[part.Word] |= part.WordMask;
                    }
                }
                else if (field.Kind == FieldKind.Constant && field.Mnemonic == Opcode.Mnemonic)
                {
                    opcode = (int)field.Constant;
                }
            }

            // CFGI_ALL is the Range = 31 case of CFGI_STE_RANGE: an opcode with two layouts reserves what both reserve.
            ref (bool Exists, ulong Word0, ulong Word1) entry = ref reserved[opcode];
            entry = entry.Exists ? (true, entry.Word0 & words[0], entry.Word1 & words[1]) : (true, words[0], words[1]);
        }

        return reserved;
    }
}
