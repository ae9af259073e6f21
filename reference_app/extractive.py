def quote(question, sections, k=2):
    return f"{sections[0].text.split('. ')[0]}. [{sections[0].id}]"
