// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using System.Reflection;
using System.Security.Cryptography;

namespace PasidFramework.Conformance.Running;

/// <summary>
/// What the assembly of a driver exports beside it, found by the attributes alone: for tests that have the driver in
/// hand and need no container. Only classes with a public constructor without parameters are made; the others need
/// imports that only a host has. Of what a host would lend, table readers can be given.
/// </summary>
public sealed class DriverDiscovery
{
    private readonly IPasidDriver _driver;

    private DriverDiscovery(IPasidDriver driver, DriverMetadata metadata)
    {
        _driver = driver;
        Metadata = metadata;
    }

    public DriverMetadata Metadata { get; }

    /// <summary>Version of its assembly: the informational one where it has one.</summary>
    public string Version { get; private init; } = string.Empty;

    /// <summary>SHA-256 of its file in lower-case hexadecimal; empty where the assembly came from no file.</summary>
    public string Hash { get; private init; } = string.Empty;

    public IReadOnlyList<Layout> Structures { get; private init; } = [];

    /// <summary>The reader of the driver's table format; null where none is exported.</summary>
    public ITableReader? Reader { get; private init; }

    /// <summary>The writer of the driver's table format; null where none is exported.</summary>
    public IPasidTableFormat? TableFormat { get; private init; }

    public IReadOnlyDictionary<string, IPageTableFormat> PageTables { get; private init; } =
        new Dictionary<string, IPageTableFormat>();

    /// <summary>The software model of the driver's table format; null where none is exported.</summary>
    public IIommuModelFactory? Model { get; private init; }

    /// <summary>Exports that were left out because their classes need imports, by name of the class.</summary>
    public IReadOnlyList<string> LeftOut { get; private init; } = [];

    /// <summary>The back ends that need nothing but memory: the exported model, or else the driver's own
    /// stand-in.</summary>
    public IReadOnlyList<IHardwareBackEnd> SoftwareBackEnds =>
        [Bench.SoftwareBackEnds.For(Metadata.TableFormat, Model, _driver)];

    /// <param name="lent">Table readers of other assemblies: each is given to the driver and to every export that
    /// imports it by name (<see cref="TableReaderAttribute.ImportPrefix"/>) and has none yet.</param>
    /// <exception cref="ArgumentException">Its class has no <see cref="PasidDriverAttribute"/>, or two exports have one
    /// name.</exception>
    /// <remarks>What the constructor of an export throws comes through as it is.</remarks>
    public static DriverDiscovery Of(IPasidDriver driver, params IReadOnlyList<ITableReader> lent)
    {
        ArgumentNullException.ThrowIfNull(driver);
        ArgumentNullException.ThrowIfNull(lent);
        Type type = driver.GetType();
        PasidDriverAttribute said = type.GetCustomAttribute<PasidDriverAttribute>() ?? throw new ArgumentException(
            $"{type} has no [PasidDriver]: a host would not find it, and what it declares is not known.",
            nameof(driver));
        Assembly assembly = type.Assembly;
        List<string> leftOut = [];
        Dictionary<string, TPart> Make<TPart, TAttribute>(Func<TAttribute, string> nameOf)
            where TPart : class
            where TAttribute : Attribute => MakeAll<TPart, TAttribute>(assembly, nameOf, lent, leftOut);

        Lend(driver, lent);
        Dictionary<string, IStructureProvider> structures =
            Make<IStructureProvider, StructureProviderAttribute>(a => a.Name);
        return new DriverDiscovery(driver, Describe(said))
        {
            Version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
                ?? assembly.GetName().Version?.ToString() ?? string.Empty,
            Hash = HashOf(assembly.Location),
            Structures = [.. structures.Values.SelectMany(s => s.Layouts).OrderBy(l => l.Id, StringComparer.Ordinal)],
            Reader = Make<ITableReader, TableReaderAttribute>(a => a.Name).GetValueOrDefault(said.TableFormat),
            TableFormat = Make<IPasidTableFormat, PasidTableFormatAttribute>(a => a.Name)
                .GetValueOrDefault(said.TableFormat),
            PageTables = Make<IPageTableFormat, PageTableFormatAttribute>(a => a.Name),
            Model = Make<IIommuModelFactory, IommuModelAttribute>(a => a.Name)
                .GetValueOrDefault(said.TableFormat),
            LeftOut = leftOut,
        };
    }

    /// <summary>The driver with everything that its assembly exports, on its software back ends.</summary>
    public DriverUnderTest ToSubject() => new()
    {
        Driver = _driver,
        Metadata = Metadata,
        Version = Version,
        Hash = Hash,
        Structures = Structures,
        Reader = Reader,
        TableFormat = TableFormat,
        PageTables = PageTables,
        BackEnds = SoftwareBackEnds,
    };

    /// <summary>The hash by which reports name a driver's file.</summary>
    /// <param name="file">Path of the file; empty where it came from none.</param>
    /// <returns>SHA-256 in lower-case hexadecimal, or nothing.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string HashOf(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (file.Length == 0)
        {
            return string.Empty;
        }

        using FileStream stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static DriverMetadata Describe(PasidDriverAttribute said) => new()
    {
        Name = said.Name,
        TableFormat = said.TableFormat,
        PasidBits = said.PasidBits,
        Vendor = said.Vendor,
        Capabilities = said.Capabilities,
        ContractMajor = said.ContractMajor,
        ContractMinor = said.ContractMinor,
    };

    // As a host composes it: a property that imports one of the readers by its name gets it.
    private static T Lend<T>(T part, IReadOnlyList<ITableReader> lent)
        where T : class
    {
        foreach (PropertyInfo property in part.GetType().GetProperties())
        {
            string? contract = property.GetCustomAttribute<ImportAttribute>()?.ContractName;
            if (property.PropertyType == typeof(ITableReader) && property.GetValue(part) is null
                && lent.FirstOrDefault(r => contract == TableReaderAttribute.ImportPrefix + r.Name) is { } reader)
            {
                property.SetValue(part, reader);
            }
        }

        return part;
    }

    private static Dictionary<string, TPart> MakeAll<TPart, TAttribute>(
        Assembly assembly, Func<TAttribute, string> nameOf, IReadOnlyList<ITableReader> lent, List<string> leftOut)
        where TPart : class
        where TAttribute : Attribute
    {
        Dictionary<string, TPart> parts = new(StringComparer.Ordinal);
        foreach (Type type in assembly.GetTypes().OrderBy(t => t.FullName, StringComparer.Ordinal))
        {
            if (type.IsAbstract || type.GetCustomAttribute<TAttribute>(inherit: false) is not { } said)
            {
                continue;
            }

            if (!typeof(TPart).IsAssignableFrom(type))
            {
                throw new ArgumentException($"{type} is exported as {typeof(TPart).Name}, which it is not.");
            }

            if (type.GetConstructor(Type.EmptyTypes) is not { } constructor)
            {
                leftOut.Add(type.FullName!);
                continue;
            }

            string name = nameOf(said);
            var part = (TPart)constructor.Invoke(BindingFlags.DoNotWrapExceptions, null, null, null);
            if (!parts.TryAdd(name, Lend(part, lent)))
            {
                throw new ArgumentException(
                    $"{type} and {parts[name].GetType()} are both exported as {typeof(TPart).Name} '{name}'.");
            }
        }

        return parts;
    }
}
