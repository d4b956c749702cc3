// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Reader;

/// <summary>
/// Reads root, context, PASID and page tables of scalable mode from memory. Intel VT-d, D51397-018 (rev 5.10), sections
/// 9.2 to 9.8.
/// </summary>
[TableReader("intel-vtd")]
public sealed class VtdTableReader : ITableReader
{
    // Hardware that can do all: 16-bit domain ids, 39 to 57-bit second stages, large pages, 5 levels, 52-bit addresses.
    private static readonly ulong s_cap = 0UL
        .With(Cap.ND, 6).With(Cap.SAGAW, 0b01110).With(Cap.MGAW, 56).With(Cap.SSLPS, 0b11).With(Cap.FS1GP, 1)
        .With(Cap.FS5LP, 1);

    private static readonly ulong s_ecap = 0UL
        .With(Ecap.C, 1).With(Ecap.QI, 1).With(Ecap.DT, 1).With(Ecap.PT, 1).With(Ecap.SC, 1).With(Ecap.MTS, 1)
        .With(Ecap.NEST, 1).With(Ecap.PRS, 1).With(Ecap.SRS, 1).With(Ecap.EAFS, 1).With(Ecap.PSS, Pasid.MaxBits - 1)
        .With(Ecap.PASID, 1).With(Ecap.SMTS, 1).With(Ecap.SSADS, 1).With(Ecap.SSTS, 1).With(Ecap.FSTS, 1)
        .With(Ecap.SMPWCS, 1).With(Ecap.RPS, 1).With(Ecap.RPRIVS, 1).With(Ecap.HPTS, 1).With(Ecap.PTRS, 1)
        .With(Ecap.SSIRWS, 1);

    public string Name => "intel-vtd";
    public IReadOnlyList<RootRegister> Registers { get; } =
    [
        new RootRegister("RTADDR", true,
            "root table address with TTM = 1 (scalable mode)") { Offset = VtdRegisters.RTADDR },
        new RootRegister("CAP", false, "capabilities; where it is missing, all that concern the tables")
        {
            Offset = VtdRegisters.CAP,
        },
        new RootRegister("ECAP", false, "extended capabilities; where it is missing, all that concern the tables")
        {
            Offset = VtdRegisters.ECAP,
        },
    ];

    public IReadOnlyList<Layout> Structures => IntelVtdLayouts.All;

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult known = TableRoots.Check(this, registers);
        if (!known.IsOk)
        {
            return OpResult<ITableView>.Refuse(known);
        }

        ulong rtaddr = registers["RTADDR"];
        var rules = new WalkRules(
            registers.GetValueOrDefault("CAP", s_cap), registers.GetValueOrDefault("ECAP", s_ecap), 52);
        int fault = rules.CheckRootAddress(rtaddr, hasPasid: false);
        return fault == 0
            ? OpResult<ITableView>.Ok(new VtdTableView(memory, rules, rtaddr))
            : OpResult<ITableView>.Refuse(Errno.EINVAL, Text(
                $"RTADDR 0x{rtaddr:x} says TTM = {rtaddr.Get(RootTableAddress.TTM)} (1 is scalable mode) or has ")
                + "reserved bits set");
    }
}
