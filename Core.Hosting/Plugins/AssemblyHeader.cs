// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// What the tables of an assembly file say by themselves: no other file is read, so nothing that is missing can be
/// in the way. Source: ECMA-335 (6th edition) II.22.
/// </summary>
internal sealed class AssemblyHeader(
    string path, AssemblyName name, ImmutableArray<AssemblyName> references, ImmutableArray<ExportMark> marks)
{
    public const string DriverAttribute = "PasidFramework.Contracts.PasidDriverAttribute";
    public const string TableFormatAttribute = "PasidFramework.Contracts.PasidTableFormatAttribute";
    public const string AllocatorAttribute = "PasidFramework.Allocation.PasidAllocatorAttribute";
    public const string PlainExportAttribute = "System.Composition.ExportAttribute";

    public string Path { get; } = path;
    public AssemblyName Name { get; } = name;
    public ImmutableArray<AssemblyName> References { get; } = references;

    /// <summary>Classes that carry one of the export attributes, in the order of the file.</summary>
    public ImmutableArray<ExportMark> Marks { get; } = marks;

    public bool HasExports => Marks.Any(mark => mark.Attribute != PlainExportAttribute);

    public static AssemblyHeader? Read(string path, out RefusedPlugin? refusal)
    {
        refusal = null;
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            long length = file.Length;
            using PEReader reader = new(file);
            if (!reader.HasMetadata)
            {
                refusal = NotAnAssembly(path, "it is a native library");
                return null;
            }

            // The runtime maps sections lazily, so a file whose end is missing can pass until the missing part is used.
            long end = reader.PEHeaders.SectionHeaders
                .Max(section => (long)section.PointerToRawData + section.SizeOfRawData);
            if (end > length)
            {
                refusal = NotAnAssembly(path, Text($"it is cut off: {length} bytes of {end}"));
                return null;
            }

            MetadataReader metadata = reader.GetMetadataReader();
            if (!metadata.IsAssembly)
            {
                refusal = NotAnAssembly(path, "it is a module without an assembly manifest");
                return null;
            }

            return new AssemblyHeader(
                path,
                metadata.GetAssemblyDefinition().GetAssemblyName(),
                [.. metadata.AssemblyReferences.Select(handle => metadata.GetAssemblyReference(handle)
                    .GetAssemblyName())],
                ReadMarks(metadata));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            refusal =
                new RefusedPlugin(path, RefusalReason.FileUnreadable, $"cannot be read: {OneLine(exception.Message)}");
        }
        catch (Exception exception) when (
            exception is BadImageFormatException or InvalidOperationException or ArgumentException or OverflowException)
        {
            // The reader checks headers by BadImageFormatException and counts read from garbage by the others.
            refusal = NotAnAssembly(path, OneLine(exception.Message));
        }

        return null;
    }

    /// <summary>Exception texts as one line: MEF and the host's resolver write several.</summary>
    public static string OneLine(string text) => string.Join(' ', text.Split(
        ['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static RefusedPlugin NotAnAssembly(string path, string why) =>
        new(path, RefusalReason.NotAnAssembly, $"not a .NET assembly ({why.TrimEnd('.')})");

    private static ImmutableArray<ExportMark> ReadMarks(MetadataReader metadata)
    {
        ImmutableArray<ExportMark>.Builder marks = ImmutableArray.CreateBuilder<ExportMark>();
        foreach (TypeDefinitionHandle typeHandle in metadata.TypeDefinitions)
        {
            foreach (CustomAttributeHandle handle in metadata.GetTypeDefinition(typeHandle).GetCustomAttributes())
            {
                string? attribute = AttributeName(metadata, metadata.GetCustomAttribute(handle));
                if (attribute is DriverAttribute or TableFormatAttribute or AllocatorAttribute or PlainExportAttribute)
                {
                    marks.Add(new ExportMark(attribute, TypeName(metadata, typeHandle)));
                }
            }
        }

        return marks.ToImmutable();
    }

    private static string? AttributeName(MetadataReader metadata, CustomAttribute attribute)
    {
        if (attribute.Constructor.Kind != HandleKind.MemberReference)
        {
            return null;
        }

        EntityHandle parent = metadata.GetMemberReference((MemberReferenceHandle)attribute.Constructor).Parent;
        if (parent.Kind != HandleKind.TypeReference)
        {
            return null;
        }

        TypeReference type = metadata.GetTypeReference((TypeReferenceHandle)parent);
        return $"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}";
    }

    private static string TypeName(MetadataReader metadata, TypeDefinitionHandle handle)
    {
        TypeDefinition type = metadata.GetTypeDefinition(handle);
        string name = metadata.GetString(type.Name);
        TypeDefinitionHandle outer = type.GetDeclaringType();
        if (!outer.IsNil)
        {
            return $"{TypeName(metadata, outer)}+{name}";
        }

        string space = metadata.GetString(type.Namespace);
        return space.Length == 0 ? name : $"{space}.{name}";
    }
}

/// <summary>A class that carries an export attribute.</summary>
/// <param name="Attribute">Full name of the attribute.</param>
/// <param name="Type">Full name of the class, nested ones with a plus sign.</param>
internal sealed record ExportMark(string Attribute, string Type);
