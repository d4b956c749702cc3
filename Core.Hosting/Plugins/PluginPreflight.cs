// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using System.Runtime.Loader;
using PasidFramework.Identifiers;

namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// Judges a plug-in by its file. Types are inspected in a <see cref="MetadataLoadContext"/>, which runs nothing:
/// neither static constructors nor module initialisers.
/// </summary>
internal sealed class PluginPreflight(HostAssemblies host, ICollection<string> warnings)
{
    private const string ImportingConstructor = "System.Composition.ImportingConstructorAttribute";

    public PluginManifest? Inspect(AssemblyHeader header, out RefusedPlugin? refusal)
    {
        refusal = CheckExports(header) ?? CheckContractReference(header);
        if (refusal is not null)
        {
            return null;
        }

        string? resolverProblem = null;
        AssemblyDependencyResolver? resolver = null;
        try
        {
            resolver = new AssemblyDependencyResolver(header.Path);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException)
        {
            // The .deps.json is malformed or names files that are not there.
            resolverProblem = AssemblyHeader.OneLine(exception.Message);
        }

        refusal = CheckDependencies(header, resolver);
        if (refusal is null && resolverProblem is not null)
        {
            refusal = Refuse(header, RefusalReason.MissingDependency,
                $"its .deps.json does not fit the files beside it: {resolverProblem}");
        }

        return refusal is null ? ReadTypes(header, resolver, out refusal) : null;
    }

    private static RefusedPlugin Refuse(AssemblyHeader header, RefusalReason reason, string message) =>
        new(header.Path, reason, message);

    private static RefusedPlugin? CheckExports(AssemblyHeader header)
    {
        if (header.HasExports)
        {
            return null;
        }

        string hint = header.Marks.IsEmpty
            ? string.Empty
            : $"; {header.Marks[0].Type} has a plain [Export], which carries no name";
        return Refuse(header, RefusalReason.NoExport,
            $"exports nothing: no class has [PasidDriver], [PasidTableFormat] or [PasidAllocator]{hint}");
    }

    private static RefusedPlugin? CheckContractReference(AssemblyHeader header)
    {
        AssemblyName? contract =
            header.References.FirstOrDefault(reference => reference.Name == HostAssemblies.ContractName);
        if (contract?.Version is not { } version || version.Major == HostAssemblies.ContractAssemblyVersion.Major)
        {
            return null;
        }

        bool newer = version.Major > HostAssemblies.ContractAssemblyVersion.Major;
        return Refuse(header, newer ? RefusalReason.ContractTooNew : RefusalReason.ContractTooOld,
            $"was compiled against {HostAssemblies.ContractName} {version}, this host has "
                + $"{HostAssemblies.ContractAssemblyVersion}: "
                + (newer ? "it needs a newer framework" : "it must be compiled anew for this framework"));
    }

    private static RefusedPlugin? CheckContractVersion(AssemblyHeader header, DriverMetadata driver)
    {
        string wanted = Text($"{driver.ContractMajor}.{driver.ContractMinor}");
        string had = Text($"{DriverContract.Major}.{DriverContract.Minor}");
        if (driver.ContractMajor < DriverContract.Major)
        {
            return Refuse(header, RefusalReason.ContractTooOld,
                $"driver '{driver.Name}' was written for driver contract {wanted}, this host has {had}: "
                    + "it must be ported to this framework");
        }

        return driver.ContractMajor > DriverContract.Major || driver.ContractMinor > DriverContract.Minor
            ? Refuse(header, RefusalReason.ContractTooNew,
                $"driver '{driver.Name}' needs driver contract {wanted}, this host has {had}: it needs a newer "
                    + $"framework")
            : null;
    }

    private static bool IsName(string? name) => !string.IsNullOrEmpty(name)
        && name.All(character => character is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-');

    private RefusedPlugin? CheckDependencies(AssemblyHeader header, AssemblyDependencyResolver? resolver)
    {
        string folder = Path.GetDirectoryName(header.Path)!;
        HashSet<string> seen = new(StringComparer.OrdinalIgnoreCase);
        Queue<AssemblyHeader> open = new([header]);
        while (open.TryDequeue(out AssemblyHeader? user))
        {
            foreach (AssemblyName reference in user.References)
            {
                string name = reference.Name ?? string.Empty;
                bool isShared = host.Shared.Contains(name);
                string? path = isShared ? null : PluginLoadContext.FindPrivate(resolver, folder, reference);
                if (path is not null)
                {
                    if (!seen.Add(path))
                    {
                        continue;
                    }

                    if (AssemblyHeader.Read(path, out RefusedPlugin? broken) is not { } found)
                    {
                        return Refuse(
                            header, RefusalReason.MissingDependency, $"needs {name} {reference.Version}, but {broken}");
                    }

                    open.Enqueue(found);
                    continue;
                }

                RefusedPlugin? problem = CheckHostDependency(header, user, reference);
                if (problem is null)
                {
                    continue;
                }

                // Libraries carry references that they use on some paths only; the plug-in's own are all in use.
                if (user == header)
                {
                    return problem;
                }

                warnings.Add($"{header.Path}: its library {user.Name.Name} {problem.Message}");
            }
        }

        return null;
    }

    private RefusedPlugin? CheckHostDependency(AssemblyHeader header, AssemblyHeader user, AssemblyName reference)
    {
        string name = reference.Name ?? string.Empty;
        Version? offered = host.VersionOf(name);
        if (offered is null)
        {
            string where = host.Shared.Contains(name) ? "the host shares it and has none"
                : "it is not beside the plug-in";
            return Refuse(header, RefusalReason.MissingDependency, $"needs {name} {reference.Version}, and {where}");
        }

        // The contract's own version was judged by its major number before; the runtime compares all four.
        return reference.Version is { } needed && needed > offered
            ? Refuse(header, RefusalReason.ContractTooNew,
                $"needs {name} {needed}, this host has {offered}: it needs a newer framework")
            : null;
    }

    private PluginManifest? ReadTypes(
        AssemblyHeader header, AssemblyDependencyResolver? resolver, out RefusedPlugin? refusal)
    {
        ManifestBuilder manifest = new(header);
        try
        {
            using MetadataLoadContext context = new(
                new Resolver(host, resolver, Path.GetDirectoryName(header.Path)!),
                typeof(object).Assembly.GetName().Name);
            Assembly assembly = context.LoadFromAssemblyPath(header.Path);
            foreach (ExportMark mark in header.Marks)
            {
                refusal = manifest.Add(assembly, mark);
                if (refusal is not null)
                {
                    return null;
                }
            }

            refusal = null;
            return manifest.Build(resolver);
        }
        catch (FileNotFoundException exception)
        {
            refusal = Refuse(header, RefusalReason.MissingDependency,
                $"its types need an assembly that is not there: {AssemblyHeader.OneLine(exception.Message)}");
        }
        // Tables that contradict each other make the reader throw anything; nothing of ours runs in there.
#pragma warning disable CA1031
        catch (Exception exception)
#pragma warning restore CA1031
        {
            refusal = Refuse(header, RefusalReason.TypeLoadFailed,
                $"its types cannot be read against this host: {AssemblyHeader.OneLine(exception.Message)}");
        }

        return null;
    }

    private sealed class ManifestBuilder(AssemblyHeader header)
    {
        private static readonly string?[] s_contracts =
            [typeof(IPasidDriver).FullName, typeof(IPasidTableFormat).FullName,
                typeof(IPasidAllocatorFactory).FullName];

        private readonly SortedSet<string> _formats = new(StringComparer.Ordinal);
        private readonly SortedSet<string> _allocators = new(StringComparer.Ordinal);
        private DriverMetadata? _driver;
        private string? _driverType;

        public RefusedPlugin? Add(Assembly assembly, ExportMark mark)
        {
            Type type = assembly.GetType(mark.Type, throwOnError: true)!;
            CustomAttributeData data = type.GetCustomAttributesData()
                .First(candidate => candidate.AttributeType.FullName == mark.Attribute);
            return mark.Attribute switch
            {
                AssemblyHeader.PlainExportAttribute => CheckPlain(type, data),
                AssemblyHeader.DriverAttribute => AddDriver(type, data),
                AssemblyHeader.TableFormatAttribute =>
                    AddNamed(type, data, _formats, "table format", typeof(IPasidTableFormat).FullName!),
                _ => AddNamed(type, data, _allocators, "allocator", typeof(IPasidAllocatorFactory).FullName!),
            };
        }

        public PluginManifest Build(AssemblyDependencyResolver? resolver) =>
            new(header.Path, header.Name, _driver, _driverType, [.. _formats], [.. _allocators], resolver);

        // Composition would find such a part beside the named ones, and fail on the metadata that it lacks.
        private RefusedPlugin? CheckPlain(Type type, CustomAttributeData data) => data.ConstructorArguments
            .Select(argument => (argument.Value as Type)?.FullName)
            .FirstOrDefault(contract => s_contracts.Contains(contract)) is { } contract
                ? Refuse(header, RefusalReason.InvalidExport,
                    $"{type.FullName} has [Export(typeof({contract}))], which carries no name: [PasidDriver], "
                        + "[PasidTableFormat] or [PasidAllocator] is expected")
                : null;

        private RefusedPlugin? AddDriver(Type type, CustomAttributeData data)
        {
            try
            {
                _ = data.NamedArguments;
            }
            catch (ArgumentException)
            {
                // The reader resolves every name in the host's attribute and trips over one that is not there.
                return Refuse(header, RefusalReason.ContractTooNew,
                    $"{type.FullName} states a value that this host's [PasidDriver] does not have: it needs a newer "
                        + $"framework");
            }

            DriverMetadata driver = new()
            {
                Name = Argument(data, 0) as string ?? string.Empty,
                TableFormat = Argument(data, 1) as string ?? string.Empty,
                PasidBits = Argument(data, 2) as int? ?? 0,
                Vendor = Named(data, nameof(DriverMetadata.Vendor)) as string ?? string.Empty,
                Capabilities = (DriverCapabilities)(Named(data, nameof(DriverMetadata.Capabilities)) as int? ?? 0),

                // The attribute's defaults are constants of the Core that constructs it, which is the host's: only the
                // reference says which one the driver was compiled against, and it equals the host's major by now.
                ContractMajor = Named(data, nameof(DriverMetadata.ContractMajor)) as int? ?? DriverContract.Major,
                ContractMinor = Named(data, nameof(DriverMetadata.ContractMinor)) as int? ?? 0,
            };
            if (_driver is not null)
            {
                return Refuse(header, RefusalReason.InvalidExport,
                    $"exports two drivers, '{_driver.Name}' ({_driverType}) and '{driver.Name}' ({type.FullName}): "
                        + "one driver per assembly is the limit");
            }

            _driver = driver;
            _driverType = type.FullName;

            // A wrong version comes first: whatever else seems odd may be right by the other version's rules.
            return CheckContractVersion(header, driver)
                ?? CheckName(type, "driver", driver.Name)
                ?? CheckName(type, "table format", driver.TableFormat)
                ?? CheckBits(driver)
                ?? CheckClass(type, typeof(IPasidDriver).FullName!);
        }

        private RefusedPlugin? AddNamed(
            Type type, CustomAttributeData data, SortedSet<string> names, string kind, string contract)
        {
            string name = Argument(data, 0) as string ?? string.Empty;
            RefusedPlugin? refusal = CheckName(type, kind, name) ?? CheckClass(type, contract);
            return refusal is null && !names.Add(name)
                ? Refuse(header, RefusalReason.InvalidExport,
                    $"exports the {kind} '{name}' twice, the second in {type.FullName}")
                : refusal;
        }

        private RefusedPlugin? CheckName(Type type, string kind, string name) => IsName(name)
            ? null
            : Refuse(header, RefusalReason.InvalidMetadata,
                $"{type.FullName} states the {kind} name '{AssemblyHeader.OneLine(name)}': "
                    + "one or more of a-z, 0-9 and dashes are expected");

        private RefusedPlugin? CheckBits(DriverMetadata driver) => driver.PasidBits is >= 1 and <= Pasid.MaxBits
            ? null
            : Refuse(header, RefusalReason.InvalidMetadata, Text(
                $"driver '{driver.Name}' states a PASID width of {driver.PasidBits} bits: 1 to {Pasid.MaxBits} are "
                    + $"expected"));

        private RefusedPlugin? CheckClass(Type type, string contract)
        {
            if (type.IsAbstract || type.IsGenericTypeDefinition)
            {
                return Refuse(header, RefusalReason.InvalidExport,
                    $"{type.FullName} is {(type.IsAbstract ? "abstract" : "generic")} and cannot be exported: exports "
                        + "are not inherited, put the attribute on the concrete class");
            }

            if (!type.GetInterfaces().Any(candidate => candidate.FullName == contract))
            {
                return Refuse(header, RefusalReason.InvalidExport,
                    $"{type.FullName} is exported and does not implement {contract}");
            }

            bool constructible = type.GetConstructors(BindingFlags.Public | BindingFlags.Instance).Any(constructor =>
                constructor.GetParameters().Length == 0
                || constructor.GetCustomAttributesData()
                    .Any(data => data.AttributeType.FullName == ImportingConstructor));
            return constructible
                ? null
                : Refuse(header, RefusalReason.NoImportingConstructor,
                    $"{type.FullName} has no importing constructor: a public one without parameters, or one with "
                        + "[ImportingConstructor], is expected");
        }

        private static object? Argument(CustomAttributeData data, int index) =>
            index < data.ConstructorArguments.Count ? data.ConstructorArguments[index].Value : null;

        private static object? Named(CustomAttributeData data, string name) => data.NamedArguments
            .Where(argument => argument.MemberName == name)
            .Select(argument => argument.TypedValue.Value)
            .FirstOrDefault();
    }

    private sealed class Resolver(HostAssemblies host, AssemblyDependencyResolver? dependencies, string folder)
        : MetadataAssemblyResolver
    {
        public override Assembly? Resolve(MetadataLoadContext context, AssemblyName assemblyName)
        {
            string name = assemblyName.Name ?? string.Empty;
            string? path = host.Shared.Contains(name)
                ? host.Find(name)
                : PluginLoadContext.FindPrivate(dependencies, folder, assemblyName) ?? host.Find(name);
            return path is null ? null : context.LoadFromAssemblyPath(path);
        }
    }
}
