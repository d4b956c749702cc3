// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>One thing that a driver does wrong.</summary>
/// <param name="Name">Short name.</param>
/// <param name="What">What it does, in a few words.</param>
/// <param name="Cases">Ids of the cases that are meant for it.</param>
/// <param name="Bend">Makes a correct driver wrong.</param>
internal sealed record Flaw(
    string Name, string What, IReadOnlyList<string> Cases, Func<DriverUnderTest, DriverUnderTest> Bend)
{
    public static Flaw OfUnit(string name, string what, string[] cases, Func<IIommuUnit, IIommuUnit> bend) =>
        OfDriver(name, what, cases, d => new FaultyDriver(d) { Unit = (u, _) => bend(u) });

    public static Flaw OfUnit(string name, string what, string[] cases,
        Func<IIommuUnit, IIommuHardware, IIommuUnit> bend) =>
        OfDriver(name, what, cases, d => new FaultyDriver(d) { Unit = bend });

    public static Flaw OfMemory(string name, string what, string[] cases,
        Func<IPhysicalMemory, IPhysicalMemory> bend) =>
        OfDriver(name, what, cases, d =>
            new FaultyDriver(d) { Hardware = h => new FaultyHardware(h) { BendMemory = bend } });

    public static Flaw OfRegisters(string name, string what, string[] cases, Func<IRegisterFile, IRegisterFile> bend) =>
        OfDriver(name, what, cases, d =>
            new FaultyDriver(d) { Hardware = h => new FaultyHardware(h) { BendRegisters = bend } });

    /// <summary>Commands of the reference architecture that are forgotten.</summary>
    public static Flaw Forgets(string name, string what, string[] cases, Func<ulong, ulong, bool> drop) =>
        OfRegisters(name, what, cases, r => new ForgettingRegisters(r, drop));

    public static Flaw OfDriver(string name, string what, string[] cases, Func<IPasidDriver, IPasidDriver> bend) =>
        new(name, what, cases, s => s with { Driver = bend(s.Driver) });

    public static Flaw OfMetadata(string name, string what, string[] cases, Action<DriverMetadata> bend) =>
        new(name, what, cases, s =>
        {
            DriverMetadata old = s.Metadata;
            var data = new DriverMetadata
            {
                Name = old.Name,
                TableFormat = old.TableFormat,
                PasidBits = old.PasidBits,
                Vendor = old.Vendor,
                Capabilities = old.Capabilities,
                ContractMajor = old.ContractMajor,
                ContractMinor = old.ContractMinor,
            };
            bend(data);
            return s with { Metadata = data };
        });

    public override string ToString() => Name;
}
